package hookgate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// ClientOption is an option of NewClient.
type ClientOption func(*clientSettings)

type clientSettings struct {
	tls    *tls.Config // nil: plain text
	files  tlsFiles
	token  func() (string, error)
	dial   []grpc.DialOption
	logger *slog.Logger
}

func (s *clientSettings) useTLS() *tls.Config {
	if s.tls == nil {
		s.tls = &tls.Config{}
	}
	return s.tls
}

// WithTLS encrypts the connection. The gateway's certificate must name the host of the target, and be signed by those
// whom the system trusts.
func WithTLS() ClientOption {
	return func(s *clientSettings) { s.useTLS() }
}

// WithTLSCA encrypts the connection. The gateway's certificate must name the host of the target, and be signed by those
// in the PEM file at path, which is read again for every connection that is made.
func WithTLSCA(path string) ClientOption {
	return func(s *clientSettings) {
		s.useTLS()
		s.files.ca = path
	}
}

// WithTLSCertificate encrypts the connection and shows the gateway a certificate of the client's own: PEM files of it and
// of its key, which are read again for every connection that is made.
func WithTLSCertificate(certificatePath, keyPath string) ClientOption {
	return func(s *clientSettings) {
		s.useTLS()
		s.files.certificate, s.files.key = certificatePath, keyPath
	}
}

// WithServerName has the gateway's certificate name this host rather than that of the target. It encrypts the connection.
func WithServerName(name string) ClientOption {
	return func(s *clientSettings) { s.useTLS().ServerName = name }
}

// WithTLSConfig encrypts the connection as config says.
func WithTLSConfig(config *tls.Config) ClientOption {
	return func(s *clientSettings) { s.tls = config.Clone() }
}

// WithToken tells the gateway who calls. Without TLS it is for loopback addresses alone: elsewhere anybody on the way
// could take it.
func WithToken(token string) ClientOption {
	return func(s *clientSettings) { s.token = func() (string, error) { return token, nil } }
}

// WithTokenFile is WithToken with the token that the file at path holds, which is read again for every call: a token that
// is renewed in time needs no new Client. White space around the token does not count.
func WithTokenFile(path string) ClientOption {
	return func(s *clientSettings) {
		s.token = func() (string, error) {
			content, err := os.ReadFile(path)
			if err != nil {
				return "", fmt.Errorf("cannot read the token file: %w", err)
			}
			token := strings.TrimSpace(string(content))
			if token == "" {
				return "", fmt.Errorf("the token file %s holds no token", path)
			}
			return token, nil
		}
	}
}

// WithDialOptions gives options to gRPC, such as an interceptor or a stats handler that traces calls. They come after the
// client's own.
func WithDialOptions(options ...grpc.DialOption) ClientOption {
	return func(s *clientSettings) { s.dial = append(s.dial, options...) }
}

// WithLogger has the client log that streams break and are opened again, which a subscription and a consumer can also be
// told by an Observer. Without it nothing is logged.
func WithLogger(logger *slog.Logger) ClientOption {
	return func(s *clientSettings) { s.logger = logger }
}

// credentials returns what goes with the connection, and checks that it can be right.
func (s *clientSettings) credentials(target string) ([]grpc.DialOption, *tokenCredentials, error) {
	dial := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	if s.tls != nil {
		s.files.base = s.tls
		if _, err := s.files.load(); err != nil {
			return nil, nil, fmt.Errorf("hookgate: %w", err)
		}
		dial[0] = grpc.WithTransportCredentials(&s.files)
	}
	if s.token == nil {
		return dial, nil, nil
	}
	if s.tls == nil && !isLoopback(target) {
		return nil, nil, fmt.Errorf("hookgate: without TLS the token would travel to %s in the clear: use TLS, or a loopback address", target)
	}
	token := &tokenCredentials{source: s.token}
	if _, err := token.read(); err != nil {
		return nil, nil, fmt.Errorf("hookgate: %w", err)
	}
	return append(dial, grpc.WithPerRPCCredentials(token)), token, nil
}

// tokenCredentials adds a token to each call.
type tokenCredentials struct {
	source func() (string, error)
}

func (t *tokenCredentials) read() (string, error) {
	token, err := t.source()
	if err != nil {
		return "", err
	}
	for i := range len(token) {
		if token[i] <= ' ' || token[i] >= 0x7f {
			return "", errors.New("the token has spaces or other bytes that no token has")
		}
	}
	return token, nil
}

// current returns the token as it is now; "" if it cannot be read or there is none.
func (t *tokenCredentials) current() string {
	if t == nil {
		return ""
	}
	token, _ := t.read()
	return token
}

// changedSince says whether a call that was refused with token would be made with another one now.
func (t *tokenCredentials) changedSince(token string) bool {
	now := t.current()
	return now != "" && now != token
}

// GetRequestMetadata returns the header with the token.
func (t *tokenCredentials) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	token, err := t.read()
	if err != nil {
		return nil, status.Error(codes.Unauthenticated, err.Error())
	}
	return map[string]string{"authorization": "Bearer " + token}, nil
}

// RequireTransportSecurity is false because a token may go to loopback; NewClient has looked.
func (t *tokenCredentials) RequireTransportSecurity() bool { return false }

// tlsFiles are transport credentials that are read from files for each connection.
type tlsFiles struct {
	base                 *tls.Config
	ca, certificate, key string

	mu   sync.Mutex
	name string // Of OverrideServerName.
}

func (f *tlsFiles) load() (credentials.TransportCredentials, error) {
	config := f.base.Clone()
	f.mu.Lock()
	if f.name != "" {
		config.ServerName = f.name
	}
	f.mu.Unlock()
	if f.ca != "" {
		pem, err := os.ReadFile(f.ca)
		if err != nil {
			return nil, fmt.Errorf("cannot read the file of trusted certificates: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the file of trusted certificates %s holds no certificate in PEM", f.ca)
		}
	}
	if f.certificate != "" || f.key != "" {
		if f.certificate == "" || f.key == "" {
			return nil, errors.New("a client certificate needs its key, and a key its certificate")
		}
		own, err := tls.LoadX509KeyPair(f.certificate, f.key)
		if err != nil {
			return nil, fmt.Errorf("cannot use the client certificate %s with the key %s: %w", f.certificate, f.key, err)
		}
		config.Certificates = []tls.Certificate{own}
	}
	return credentials.NewTLS(config), nil
}

// ClientHandshake speaks TLS on a new connection.
func (f *tlsFiles) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	loaded, err := f.load()
	if err != nil {
		return nil, nil, err
	}
	return loaded.ClientHandshake(ctx, authority, raw)
}

// ServerHandshake is not for clients.
func (f *tlsFiles) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("hookgate: these credentials are a client's")
}

// Info tells gRPC that it is TLS.
func (f *tlsFiles) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls", SecurityVersion: "1.2", ServerName: f.base.ServerName}
}

// Clone returns a copy.
func (f *tlsFiles) Clone() credentials.TransportCredentials {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &tlsFiles{base: f.base, ca: f.ca, certificate: f.certificate, key: f.key, name: f.name}
}

// OverrideServerName is for gRPC.
func (f *tlsFiles) OverrideServerName(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.name = name
	return nil
}
