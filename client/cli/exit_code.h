// How `hookgate` ends: what scripts act on. Every command's --help names those it uses.
#ifndef HOOKGATE_CLIENT_CLI_EXIT_CODE_H_
#define HOOKGATE_CLIENT_CLI_EXIT_CODE_H_

namespace hookgate::cli {

inline constexpr int kSuccess = 0;
inline constexpr int kFailed = 1;         // The gateway refused, or something else went wrong.
inline constexpr int kWrongUsage = 2;     // The command line is wrong; nothing was done.
inline constexpr int kUnreachable = 3;    // Nobody answered in time, or nobody that is trusted.
inline constexpr int kNotFound = 4;       // There is no such event, entry or subscription.
inline constexpr int kNotChecked = 5;     // The log could not be opened.
inline constexpr int kNotStarted = 6;     // The program of --exec could not be started.
inline constexpr int kForeignCursor = 7;  // The cursor belongs to another log or history.
// As shells report a program that SIGINT ended: interrupted before it was done.
inline constexpr int kInterrupted = 130;

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_EXIT_CODE_H_
