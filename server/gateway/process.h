// What the process lets others of the machine see of it.
#ifndef HOOKGATE_SERVER_GATEWAY_PROCESS_H_
#define HOOKGATE_SERVER_GATEWAY_PROCESS_H_

namespace hookgate {

// Called first in main, before a secret is read or a file made: what the process makes is its
// owner's alone (umask 077), and its memory, which holds secrets and bodies, goes neither to a core
// file nor to a debugger of another process of the same user (PR_SET_DUMPABLE, RLIMIT_CORE).
void HideProcess();

// Takes the second half back: for whoever has to look for a fault and asked for core files.
void AllowCoreDumps();

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GATEWAY_PROCESS_H_
