package hookgate

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

const targetExample = "HOST:PORT, such as 127.0.0.1:50051 or gateway.example:50051"

// checkTarget refuses what gRPC would take for a name to look up, and say of only that it was not found.
func checkTarget(target string) error {
	wrong := func(why string) error {
		return fmt.Errorf("hookgate: the target %q is not valid: %s; use %s", target, why, targetExample)
	}
	if target == "" {
		return wrong("it is empty")
	}
	if lower := strings.ToLower(target); strings.HasPrefix(lower, "http://") || strings.HasPrefix(lower, "https://") {
		return wrong("it is a URL, and gRPC needs HOST:PORT; turn TLS on by its own option")
	}
	for _, scheme := range []string{"unix:", "unix-abstract:"} {
		if name, is := strings.CutPrefix(target, scheme); is {
			if name == "" {
				return wrong("it has no socket path")
			}
			return nil
		}
	}
	rest := target
	if name, is := strings.CutPrefix(target, "dns://"); is {
		_, host, found := strings.Cut(name, "/")
		if !found {
			return wrong("it has no host")
		}
		rest = host
	} else if _, _, found := strings.Cut(target, "://"); found {
		// Another resolver of gRPC's, such as passthrough or one that the program has registered.
		return nil
	} else {
		rest = strings.TrimPrefix(rest, "dns:")
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		return wrong("it is not a host and a port")
	}
	if host == "" {
		return wrong("it has no host")
	}
	if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
		return wrong("its port is not a number from 1 to 65535")
	}
	return nil
}

// isLoopback says whether a call to target stays on this machine, as far as its host tells by number or name: what
// another name resolves to may change between looking and calling.
func isLoopback(target string) bool {
	if strings.HasPrefix(target, "unix:") || strings.HasPrefix(target, "unix-abstract:") {
		return true
	}
	for _, scheme := range []string{"dns:///", "passthrough:///", "dns:"} {
		if rest, is := strings.CutPrefix(target, scheme); is {
			target = rest
			break
		}
	}
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		return false
	}
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}
