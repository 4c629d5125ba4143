// What a team would write in Go: verifies a webhook with the Standard Webhooks library, stores groups
// of them in SQLite, answers once theirs is committed, and streams them to subscribers by grpc-go.
//
//	go_receiver HTTP_ADDRESS GRPC_ADDRESS FOLDER SECRET
//
// It serves the gateway's own Subscribe, as far as the benchmark's subscribers need it: from now on,
// without filters, heartbeats or resume.
package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	_ "github.com/mattn/go-sqlite3"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	openaiv1 "hookgate/openai/v1"
	hookgatev1 "hookgate/v1"
)

const (
	maxBody  = 1 << 20
	maxGroup = 1024
	// Responses that a subscriber may be behind by, before it is sent away.
	maxBehind = 1 << 12
)

type failure struct {
	ID        string `json:"id"`
	CreatedAt int64  `json:"created_at"`
	Type      string `json:"type"`
	Object    string `json:"object"`
	Data      struct {
		ID string `json:"id"`
	} `json:"data"`
}

type received struct {
	webhookID string
	body      []byte
	failure   failure
	at        time.Time
	stored    chan result
}

type result struct {
	sequence int64
	err      error
}

// feed hands what is committed to every subscriber.
type feed struct {
	hookgatev1.UnimplementedEventServiceServer
	mu          sync.Mutex
	subscribers map[chan *hookgatev1.SubscribeResponse]struct{}
}

func (f *feed) Subscribe(_ *hookgatev1.SubscribeRequest,
	stream grpc.ServerStreamingServer[hookgatev1.SubscribeResponse]) error {
	responses := make(chan *hookgatev1.SubscribeResponse, maxBehind)
	f.mu.Lock()
	f.subscribers[responses] = struct{}{}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.subscribers, responses)
		f.mu.Unlock()
	}()
	opened := &hookgatev1.SubscribeResponse{Frame: &hookgatev1.SubscribeResponse_Opened_{
		Opened: &hookgatev1.SubscribeResponse_Opened{}}}
	if err := stream.Send(opened); err != nil {
		return err
	}
	for {
		select {
		case <-stream.Context().Done():
			return nil
		case response, open := <-responses:
			if !open {
				return fmt.Errorf("the subscriber is too slow")
			}
			if err := stream.Send(response); err != nil {
				return err
			}
		}
	}
}

func (f *feed) publish(events []*hookgatev1.Event) {
	response := &hookgatev1.SubscribeResponse{Frame: &hookgatev1.SubscribeResponse_EventBatch_{
		EventBatch: &hookgatev1.SubscribeResponse_EventBatch{Events: events}}}
	f.mu.Lock()
	defer f.mu.Unlock()
	for responses := range f.subscribers {
		select {
		case responses <- response:
		default:
			delete(f.subscribers, responses)
			close(responses)
		}
	}
}

func event(webhook *received, sequence int64) *hookgatev1.Event {
	return &hookgatev1.Event{
		Sequence:    sequence,
		Cursor:      fmt.Sprintf("0123456789abcdef-%d", sequence),
		Source:      "openai",
		WebhookId:   webhook.webhookID,
		Type:        webhook.failure.Type,
		Subject:     webhook.failure.Data.ID,
		ReceiveTime: timestamppb.New(webhook.at),
		Durability:  hookgatev1.Durability_DURABILITY_LOCAL_DISK,
		Payload: &hookgatev1.Event_BatchFailed{BatchFailed: &openaiv1.BatchFailedWebhookEvent{
			Id:        webhook.failure.ID,
			CreatedAt: webhook.failure.CreatedAt,
			Type:      webhook.failure.Type,
			Object:    &webhook.failure.Object,
			Data:      &openaiv1.BatchFailedWebhookEvent_Data{Id: webhook.failure.Data.ID},
		}},
	}
}

// store commits what has come meanwhile together.
func store(db *sql.DB, webhooks <-chan *received, subscribers *feed) {
	for first := range webhooks {
		group := []*received{first}
		for more := true; more && len(group) < maxGroup; {
			select {
			case next := <-webhooks:
				group = append(group, next)
			default:
				more = false
			}
		}
		results, events, err := commit(db, group)
		if err == nil && len(events) > 0 {
			subscribers.publish(events)
		}
		for i, webhook := range group {
			if err != nil {
				results[i] = result{err: err}
			}
			webhook.stored <- results[i]
		}
	}
}

func commit(db *sql.DB, group []*received) ([]result, []*hookgatev1.Event, error) {
	results := make([]result, len(group))
	transaction, err := db.Begin()
	if err != nil {
		return results, nil, err
	}
	defer transaction.Rollback()
	insert, err := transaction.Prepare("INSERT INTO events (webhook_id, type, subject, " +
		"receive_time_us, body) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")
	if err != nil {
		return results, nil, err
	}
	defer insert.Close()
	var events []*hookgatev1.Event
	for i, webhook := range group {
		done, err := insert.Exec(webhook.webhookID, webhook.failure.Type, webhook.failure.Data.ID,
			webhook.at.UnixMicro(), webhook.body)
		if err != nil {
			return results, nil, err
		}
		if added, _ := done.RowsAffected(); added == 1 {
			results[i].sequence, _ = done.LastInsertId()
			events = append(events, event(webhook, results[i].sequence))
		}
	}
	return results, events, transaction.Commit()
}

func receive(verifier *webhooks.Webhook, queue chan<- *received) http.HandlerFunc {
	return func(answer http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(answer, request.Body, maxBody))
		if err != nil {
			http.Error(answer, "the body is too large", http.StatusRequestEntityTooLarge)
			return
		}
		if err := verifier.Verify(body, request.Header); err != nil {
			http.Error(answer, err.Error(), http.StatusUnauthorized)
			return
		}
		webhook := &received{webhookID: request.Header.Get("webhook-id"), body: body, at: time.Now(),
			stored: make(chan result, 1)}
		if err := json.Unmarshal(body, &webhook.failure); err != nil || webhook.failure.Type == "" {
			http.Error(answer, "the body is no event", http.StatusBadRequest)
			return
		}
		queue <- webhook
		stored := <-webhook.stored
		if stored.err != nil {
			http.Error(answer, stored.err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(answer, `{"sequence":"%d"}`, stored.sequence)
	}
}

func main() {
	if len(os.Args) != 5 {
		log.Fatal("usage: go_receiver HTTP_ADDRESS GRPC_ADDRESS FOLDER SECRET")
	}
	db, err := sql.Open("sqlite3", filepath.Join(os.Args[3], "events.db")+
		"?_journal_mode=WAL&_synchronous=FULL")
	if err != nil {
		log.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("CREATE TABLE events (sequence INTEGER PRIMARY KEY, webhook_id TEXT UNIQUE, " +
		"type TEXT, subject TEXT, receive_time_us INTEGER, body BLOB)"); err != nil {
		log.Fatal(err)
	}
	verifier, err := webhooks.NewWebhook(os.Args[4])
	if err != nil {
		log.Fatal(err)
	}
	subscribers := &feed{subscribers: map[chan *hookgatev1.SubscribeResponse]struct{}{}}
	queue := make(chan *received, 8192)
	go store(db, queue, subscribers)

	grpcListener, err := net.Listen("tcp", os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	hookgatev1.RegisterEventServiceServer(server, subscribers)
	go func() { log.Fatal(server.Serve(grpcListener)) }()

	http.HandleFunc("/", receive(verifier, queue))
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
