/** The version of this package, which is that of the gateway that it was released with. */
export const VERSION = "0.2.0-dev";
