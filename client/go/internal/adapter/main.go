// Command adapter drives the package for the suite that all client libraries have in common. The protocol stands in
// tests/clients/README.md of the repository: commands on standard input, messages on standard output.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	hookgate "github.com/hookgate/hookgate/client/go"
	hookgatev1 "github.com/hookgate/hookgate/client/go/gen/hookgate/v1"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// object is a JSON object.
type object map[string]any

// command has the members of all commands; those that a command does not have are zero.
type command struct {
	ID int64  `json:"id"`
	Do string `json:"do"`
	Of int64  `json:"of"`

	Connection struct {
		Target             string `json:"target"`
		TLS                bool   `json:"tls"`
		TLSCAFile          string `json:"tls_ca_file"`
		TLSCertificateFile string `json:"tls_certificate_file"`
		TLSKeyFile         string `json:"tls_key_file"`
		TokenFile          string `json:"token_file"`
		Token              string `json:"token"`
	} `json:"connection"`

	Filter struct {
		Sources  []string `json:"sources"`
		Types    []string `json:"types"`
		Subjects []string `json:"subjects"`
	} `json:"filter"`
	Start          json.RawMessage `json:"start"`
	CursorFile     string          `json:"cursor_file"`
	SaveInterval   *int64          `json:"save_interval_ms"`
	Heartbeat      *int64          `json:"heartbeat_ms"`
	OpenTimeout    *int64          `json:"open_timeout_ms"`
	BackoffInitial int64           `json:"backoff_initial_ms"`
	BackoffMaximum int64           `json:"backoff_maximum_ms"`
	ClientName     string          `json:"client_name"`
	IncludeRawBody bool            `json:"include_raw_body"`
	Hold           bool            `json:"hold"`
	JSON           bool            `json:"json"`
	Subscription   string          `json:"subscription"`
	ConsumerName   string          `json:"consumer_name"`
	Concurrency    *int            `json:"concurrency"`
	LongestLease   *int64          `json:"longest_lease_ms"`
	StopGrace      *int64          `json:"stop_grace_ms"`
	GiveBackGrace  *int64          `json:"give_back_grace_ms"`
	Mode           string          `json:"mode"`
	MaxEvents      int             `json:"max_events"`
	Wait           int64           `json:"wait_ms"`
	Method         string          `json:"method"`
	Request        json.RawMessage `json:"request"`
	Timeout        *int64          `json:"timeout_ms"`
	Verdicts       []verdict       `json:"verdicts"`
	verdict
}

type verdict struct {
	Sequence   int64  `json:"sequence"`
	DeliveryID string `json:"delivery_id"`
	Kind       string `json:"kind"`
	Reason     string `json:"reason"`
	Delay      *int64 `json:"delay_ms"`
	Deadline   *int64 `json:"deadline_ms"`
}

// errHandler is what a handler of a subscription fails with.
type errHandler string

func (e errHandler) Error() string { return string(e) }

// task is a subscribe or a consume that has not ended.
type task struct {
	stop     context.CancelFunc
	giveBack func()
	// By what a verdict names: "7" for a sequence, or a delivery id.
	waiting map[string]chan verdict
}

type adapter struct {
	eof chan struct{} // Closed at the end of the input.

	mu    sync.Mutex // Also of standard output.
	tasks map[int64]*task
	wg    sync.WaitGroup
}

func main() {
	a := &adapter{eof: make(chan struct{}), tasks: map[int64]*task{}}
	a.write(object{"ready": object{"language": "go", "version": hookgate.Version}})
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 1 {
			a.obey(line)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "adapter:", err)
			os.Exit(1)
		}
	}
	a.end()
}

func (a *adapter) end() {
	close(a.eof)
	a.mu.Lock()
	for _, task := range a.tasks {
		task.giveBack()
		task.stop()
	}
	a.mu.Unlock()
	done := make(chan struct{})
	go func() {
		a.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(8 * time.Second):
	}
}

func (a *adapter) write(message object) {
	a.mu.Lock()
	defer a.mu.Unlock()
	line, err := json.Marshal(message)
	if err != nil {
		panic(err)
	}
	os.Stdout.Write(append(line, '\n'))
}

func (a *adapter) obey(line []byte) {
	var c command
	if err := json.Unmarshal(line, &c); err != nil {
		fmt.Fprintf(os.Stderr, "adapter: not a command: %v: %s", err, line)
		os.Exit(1)
	}
	switch c.Do {
	case "verdict":
		a.judge(&c)
	case "stop":
		a.mu.Lock()
		task := a.tasks[c.Of]
		a.mu.Unlock()
		if task != nil {
			if c.Mode == "give_back" {
				task.giveBack()
			}
			task.stop()
		}
	case "subscribe":
		a.start(&c, a.subscribe)
	case "consume":
		a.start(&c, a.consume)
	case "pull":
		a.answer(&c, a.pull)
	case "settle":
		a.answer(&c, a.settle)
	case "call":
		a.answer(&c, a.call)
	default:
		fmt.Fprintf(os.Stderr, "adapter: there is no command %q\n", c.Do)
		os.Exit(1)
	}
}

func (a *adapter) judge(c *command) {
	key := c.DeliveryID
	if key == "" {
		key = fmt.Sprint(c.Sequence)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if task := a.tasks[c.Of]; task != nil {
		if waits := task.waiting[key]; waits != nil {
			waits <- c.verdict
			delete(task.waiting, key)
		}
	}
}

// expect has the verdict on key wait for await: it may come as soon as the suite has read what it is about.
func (a *adapter) expect(t *task, key string) <-chan verdict {
	waits := make(chan verdict, 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	t.waiting[key] = waits
	return waits
}

// await returns false at the end of the input.
func (a *adapter) await(waits <-chan verdict, lost <-chan struct{}, onLost func()) (verdict, bool) {
	for {
		select {
		case v := <-waits:
			return v, true
		case <-lost:
			lost = nil
			onLost()
		case <-a.eof:
			return verdict{}, false
		}
	}
}

func (a *adapter) start(c *command, run func(context.Context, <-chan struct{}, *task, *command) error) {
	ctx, stop := context.WithCancel(context.Background())
	giveBack := make(chan struct{})
	t := &task{stop: stop, giveBack: sync.OnceFunc(func() { close(giveBack) }), waiting: map[string]chan verdict{}}
	a.mu.Lock()
	a.tasks[c.ID] = t
	a.mu.Unlock()
	a.wg.Add(1)
	go func() {
		defer a.wg.Done()
		err := run(ctx, giveBack, t, c)
		a.mu.Lock()
		delete(a.tasks, c.ID)
		a.mu.Unlock()
		stop()
		if err != nil {
			a.write(object{"id": c.ID, "end": object{"error": describe(err)}})
		} else {
			a.write(object{"id": c.ID, "end": object{"ok": true}})
		}
	}()
}

func (a *adapter) answer(c *command, call func(context.Context, *hookgate.Client, *command) (any, error)) {
	a.wg.Add(1)
	go func() {
		defer a.wg.Done()
		ctx := context.Background()
		if c.Timeout != nil {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, ms(*c.Timeout))
			defer cancel()
		}
		client, err := connect(c)
		var answer any
		if err == nil {
			defer client.Close()
			answer, err = call(ctx, client, c)
		}
		if err != nil {
			a.write(object{"id": c.ID, "end": object{"error": describe(err)}})
		} else {
			a.write(object{"id": c.ID, "answer": answer})
		}
	}()
}

func ms(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

func connect(c *command) (*hookgate.Client, error) {
	var options []hookgate.ClientOption
	at := &c.Connection
	if at.TLS {
		options = append(options, hookgate.WithTLS())
	}
	if at.TLSCAFile != "" {
		options = append(options, hookgate.WithTLSCA(at.TLSCAFile))
	}
	if at.TLSCertificateFile != "" || at.TLSKeyFile != "" {
		options = append(options, hookgate.WithTLSCertificate(at.TLSCertificateFile, at.TLSKeyFile))
	}
	if at.TokenFile != "" {
		options = append(options, hookgate.WithTokenFile(at.TokenFile))
	}
	if at.Token != "" {
		options = append(options, hookgate.WithToken(at.Token))
	}
	return hookgate.NewClient(at.Target, options...)
}

func (a *adapter) streamOptions(c *command, observer hookgate.Observer) []hookgate.StreamOption {
	observer.Draining = func(delay time.Duration) {
		a.write(object{"id": c.ID, "state": "draining", "delay_ms": delay.Milliseconds()})
	}
	observer.Disconnected = func(why error, delay time.Duration) {
		a.write(object{"id": c.ID, "state": "disconnected", "delay_ms": delay.Milliseconds(), "error": describe(why)})
	}
	options := []hookgate.StreamOption{
		hookgate.Observe(observer),
		hookgate.RetryBackoff(hookgate.Backoff{Initial: ms(c.BackoffInitial), Maximum: ms(c.BackoffMaximum)}),
	}
	if c.Heartbeat != nil {
		options = append(options, hookgate.HeartbeatInterval(ms(*c.Heartbeat)))
	}
	if c.OpenTimeout != nil {
		options = append(options, hookgate.OpenTimeout(ms(*c.OpenTimeout)))
	}
	if c.IncludeRawBody {
		options = append(options, hookgate.IncludeRawBody())
	}
	return options
}

// listed is a list in JSON, too, if it is empty.
func listed(names []string) []string { return append([]string{}, names...) }

func (a *adapter) subscribe(ctx context.Context, _ <-chan struct{}, t *task, c *command) error {
	client, err := connect(c)
	if err != nil {
		return err
	}
	defer client.Close()
	state := func(name, cursor string) { a.write(object{"id": c.ID, "state": name, "cursor": cursor}) }
	options := []hookgate.SubscribeOption{
		hookgate.Sources(c.Filter.Sources...), hookgate.Types(c.Filter.Types...), hookgate.Subjects(c.Filter.Subjects...),
		hookgate.ClientName(c.ClientName),
	}
	for _, option := range a.streamOptions(c, hookgate.Observer{
		Opened: func(frame *hookgatev1.SubscribeResponse_Opened) {
			a.write(object{
				"id": c.ID, "state": "opened", "cursor": frame.GetCursor(), "capabilities": listed(frame.GetCapabilities()),
			})
		},
		CaughtUp:  func(frame *hookgatev1.SubscribeResponse_CaughtUp) { state("caught_up", frame.GetCursor()) },
		Heartbeat: func(frame *hookgatev1.SubscribeResponse_Heartbeat) { state("heartbeat", frame.GetCursor()) },
	}) {
		options = append(options, option)
	}
	start, err := startOf(c.Start)
	if err != nil {
		return err
	}
	options = append(options, start)
	if c.CursorFile != "" {
		options = append(options, hookgate.CursorFile(c.CursorFile))
	}
	if c.SaveInterval != nil {
		options = append(options, hookgate.SaveInterval(ms(*c.SaveInterval)))
	}
	for event, err := range client.Subscribe(ctx, options...) {
		if err != nil {
			return err
		}
		if !c.Hold {
			a.write(object{"id": c.ID, "event": eventObject(event, c)})
			continue
		}
		waits := a.expect(t, fmt.Sprint(event.GetSequence()))
		a.write(object{"id": c.ID, "event": eventObject(event, c)})
		v, more := a.await(waits, nil, nil)
		if !more {
			return nil
		}
		if v.Kind == "nack" {
			return errHandler(v.Reason)
		}
	}
	return nil
}

func startOf(text json.RawMessage) (hookgate.Start, error) {
	var name string
	var place struct {
		After   *string `json:"after"`
		SinceMs *int64  `json:"since_ms"`
	}
	switch {
	case len(text) == 0:
		return hookgate.FromLatest(), nil
	case json.Unmarshal(text, &name) == nil && name == "latest":
		return hookgate.FromLatest(), nil
	case name == "earliest":
		return hookgate.FromEarliest(), nil
	case json.Unmarshal(text, &place) == nil && place.After != nil:
		return hookgate.FromCursor(*place.After), nil
	case place.SinceMs != nil:
		return hookgate.FromTime(time.UnixMilli(*place.SinceMs)), nil
	}
	return hookgate.Start{}, fmt.Errorf("not a start: %s", text)
}

func eventObject(event *hookgate.Event, c *command) object {
	result := object{
		"sequence": event.GetSequence(), "cursor": event.GetCursor(), "source": event.GetSource(),
		"webhook_id": event.GetWebhookId(), "type": event.GetType(), "subject": event.GetSubject(),
		"payload": hookgate.PayloadName(event),
	}
	if c.IncludeRawBody {
		result["raw_body"] = event.GetRawBody()
	}
	if c.JSON {
		result["json"] = protoJSON(event)
	}
	return result
}

func deliveryObject(delivery *hookgate.Delivery, c *command) object {
	return object{
		"delivery_id": delivery.GetDeliveryId(), "attempt": delivery.GetAttempt(),
		"reason":      strings.TrimPrefix(delivery.GetReason().String(), "DELIVERY_REASON_"),
		"nack_reason": delivery.GetNackReason(), "event": eventObject(delivery.GetEvent(), c),
	}
}

func protoJSON(message proto.Message) json.RawMessage {
	text, err := protojson.Marshal(message)
	if err != nil {
		panic(err)
	}
	return text
}

func (a *adapter) consume(ctx context.Context, giveBack <-chan struct{}, t *task, c *command) error {
	client, err := connect(c)
	if err != nil {
		return err
	}
	defer client.Close()
	options := []hookgate.ConsumeOption{hookgate.GiveBackWhen(giveBack), hookgate.ConsumerName(c.ConsumerName)}
	for _, option := range a.streamOptions(c, hookgate.Observer{
		ConsumeOpened: func(frame *hookgatev1.ConsumeResponse_Opened) {
			a.write(object{"id": c.ID, "state": "opened", "capabilities": listed(frame.GetCapabilities())})
		},
		ConsumeHeartbeat: func(*hookgatev1.ConsumeResponse_Heartbeat) {
			a.write(object{"id": c.ID, "state": "heartbeat"})
		},
	}) {
		options = append(options, option)
	}
	if c.Concurrency != nil {
		options = append(options, hookgate.Concurrency(*c.Concurrency))
	}
	if c.LongestLease != nil {
		options = append(options, hookgate.LongestLease(ms(*c.LongestLease)))
	}
	if c.StopGrace != nil {
		options = append(options, hookgate.StopGrace(ms(*c.StopGrace)))
	}
	if c.GiveBackGrace != nil {
		options = append(options, hookgate.GiveBackGrace(ms(*c.GiveBackGrace)))
	}
	return client.Consume(ctx, c.Subscription, func(ctx context.Context, delivery *hookgate.Delivery) error {
		id := delivery.GetDeliveryId()
		waits := a.expect(t, id)
		a.write(object{"id": c.ID, "delivery": deliveryObject(delivery, c)})
		v, more := a.await(waits, ctx.Done(), func() {
			a.write(object{"id": c.ID, "lost": object{"delivery_id": id}})
		})
		if !more {
			return hookgate.ErrGiveBack
		}
		return handlerError(v)
	}, options...)
}

func handlerError(v verdict) error {
	switch v.Kind {
	case "nack":
		if v.Delay != nil {
			return hookgate.NackAfter(ms(*v.Delay), errors.New(v.Reason))
		}
		return errors.New(v.Reason)
	case "dead_letter":
		return hookgate.DeadLetter(errors.New(v.Reason))
	case "give_back":
		return hookgate.ErrGiveBack
	}
	return nil
}

func (a *adapter) pull(ctx context.Context, client *hookgate.Client, c *command) (any, error) {
	deliveries, err := client.Pull(ctx, hookgate.PullRequest{
		Subscription: c.Subscription, ConsumerName: c.ConsumerName, MaxEvents: c.MaxEvents, Wait: ms(c.Wait),
		IncludeRawBody: c.IncludeRawBody,
	})
	objects := []object{}
	for _, delivery := range deliveries {
		objects = append(objects, deliveryObject(delivery, c))
	}
	return object{"deliveries": objects}, err
}

func (a *adapter) settle(ctx context.Context, client *hookgate.Client, c *command) (any, error) {
	var verdicts []hookgate.Verdict
	for _, v := range c.Verdicts {
		switch v.Kind {
		case "ack":
			verdicts = append(verdicts, hookgate.Acked(v.DeliveryID))
		case "extend":
			var deadline time.Duration
			if v.Deadline != nil {
				deadline = ms(*v.Deadline)
			}
			verdicts = append(verdicts, hookgate.Extended(v.DeliveryID, deadline))
		default:
			verdicts = append(verdicts, hookgate.Nacked(v.DeliveryID, handlerError(v)))
		}
	}
	results, err := client.Acknowledge(ctx, c.Subscription, verdicts...)
	objects := []object{}
	for _, result := range results {
		objects = append(objects, object{
			"delivery_id": result.GetDeliveryId(), "result": strings.TrimPrefix(result.GetResult().String(), "RESULT_"),
		})
	}
	return object{"results": objects}, err
}

func (a *adapter) call(ctx context.Context, client *hookgate.Client, c *command) (any, error) {
	stubs := map[string]any{
		"EventService": client.Events(), "SubscriptionService": client.Subscriptions(), "AdminService": client.Admin(),
	}
	service, name, _ := strings.Cut(c.Method, ".")
	stub := stubs[service]
	if stub == nil {
		return nil, fmt.Errorf("there is no service %q", service)
	}
	method := reflect.ValueOf(stub).MethodByName(name)
	if !method.IsValid() {
		return nil, fmt.Errorf("there is no method %q", c.Method)
	}
	request := reflect.New(method.Type().In(1).Elem()).Interface().(proto.Message)
	if len(c.Request) > 0 {
		if err := protojson.Unmarshal(c.Request, request); err != nil {
			return nil, err
		}
	}
	results := method.Call([]reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf(request)})
	if err, failed := results[1].Interface().(error); failed {
		return nil, err
	}
	return protoJSON(results[0].Interface().(proto.Message)), nil
}

func describe(err error) object {
	var call *hookgate.CallError
	var store *hookgate.CursorStoreError
	var handler errHandler
	switch {
	case errors.As(err, &call):
		metadata := call.Metadata
		if metadata == nil {
			metadata = map[string]string{}
		}
		return object{
			"kind": "call", "code": code.Code_name[int32(call.Code)], "reason": string(call.Reason),
			"retryable": call.Retryable(), "metadata": metadata, "message": err.Error(),
		}
	case errors.As(err, &store):
		return object{"kind": "cursor_store", "message": err.Error()}
	case errors.As(err, &handler):
		return object{"kind": "handler", "message": string(handler)}
	}
	return object{"kind": "usage", "message": err.Error()}
}
