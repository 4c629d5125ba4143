package hookgate

// Version is the version of this module, which is that of the gateway that it was released with. It is told to the
// gateway in the user agent.
const Version = "0.2.0-dev"
