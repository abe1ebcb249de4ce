// Gatepost's events into PostgreSQL, in Go: each event one row, one transaction for a batch, receipts after the commit.
//
//	sudo apt-get install golang golang-github-eclipse-paho.mqtt.golang-dev golang-github-lib-pq-dev
//	GO111MODULE=off GOPATH=/usr/share/gocode go build consumer.go
//	./consumer 'postgresql:///gatepost?host=/var/run/postgresql' tcp://server:PASSWORD@broker:1883 receipts.key [SHARE]
//
// Or, where Go is newer: go mod init consumer && go get github.com/eclipse/paho.mqtt.golang github.com/lib/pq
//
// The tables are those of schema.sql. Start it several times with the same SHARE, a long word that no kiosk knows.
package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log"
	"os"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/lib/pq"
)

const batchMost = 500

var topicShape = regexp.MustCompile(`^(gatepost/v1/[^/]+/[^/]+)/event/([a-z_]+)$`)
var shapes = [3]*regexp.Regexp{
	regexp.MustCompile(`^[0-9a-f]{8}$`), regexp.MustCompile(`^[0-9]{12,18}$`), regexp.MustCompile(`^[0-9a-f]{64}$`),
}

type event struct {
	Source   string          `json:"source"`
	Epoch    string          `json:"epoch"`
	Sequence string          `json:"sequence"`
	Previous string          `json:"previoussha256"`
	Time     string          `json:"time"`
	Data     json.RawMessage `json:"data"`
	kind     string
	day      string
	payload  string
}

type chain struct{ source, epoch string }

type link struct {
	sequence       int64
	hash, previous string
}

type receipt struct {
	Source string   `json:"source"`
	Epoch  string   `json:"epoch"`
	UpTo   int64    `json:"up_to"`
	Sha256 string   `json:"sha256"`
	Ranges []string `json:"ranges"`
}

type waiting struct {
	message   mqtt.Message
	committed chan struct{} // closed when the broker may be told
}

// An event; nil for what is none, or names another kiosk than its topic: only topics are guarded by the broker.
func read(topic string, payload []byte) *event {
	var found event
	parts := topicShape.FindStringSubmatch(topic)
	isText := utf8.Valid(payload) && !strings.Contains(string(payload), `\u0000`)
	if parts == nil || !isText || json.Unmarshal(payload, &found) != nil || found.Source != "/"+parts[1] ||
		!shapes[0].MatchString(found.Epoch) || !shapes[1].MatchString(found.Sequence) ||
		!shapes[2].MatchString(found.Previous) || len(found.Data) == 0 || found.Data[0] != '{' {
		log.Println("no event of its kiosk:", topic)
		return nil
	}
	at, err := time.Parse(time.RFC3339, found.Time)
	if err != nil {
		at = time.Now()
	}
	found.kind, found.day, found.payload = parts[2], at.UTC().Format("2006-01-02"), string(payload)
	return &found
}

// One transaction: the rows that are not there yet, and how far each chain goes without a gap or a break.
func keep(db *sql.DB, events []*event) ([]receipt, error) {
	// servers lock chains in the same order: none waits for another in a circle
	sort.Slice(events, func(one, two int) bool {
		left, right := events[one], events[two]
		return left.Source+left.Epoch+left.Sequence < right.Source+right.Epoch+right.Sequence
	})
	tx, err := db.Begin()
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	var receipts []receipt
	for first := 0; first < len(events); {
		last := first
		for last < len(events) && events[last].Source == events[first].Source && events[last].Epoch == events[first].Epoch {
			last++
		}
		found, err := keepChain(tx, chain{events[first].Source, events[first].Epoch}, events[first:last])
		if err != nil {
			return nil, err
		}
		receipts, first = append(receipts, found), last
	}
	return receipts, tx.Commit()
}

func keepChain(tx *sql.Tx, of chain, events []*event) (receipt, error) {
	now := receipt{Source: of.source, Epoch: of.epoch, Ranges: []string{}}
	if _, err := tx.Exec("INSERT INTO chain (source, epoch) VALUES ($1, $2) ON CONFLICT DO NOTHING", of.source, of.epoch); err != nil {
		return now, err
	}
	var deleted int64
	err := tx.QueryRow("SELECT up_to, encode(hash, 'hex'), deleted FROM chain WHERE source = $1 AND epoch = $2 FOR UPDATE",
		of.source, of.epoch).Scan(&now.UpTo, &now.Sha256, &deleted)
	if err != nil {
		return now, err
	}
	for _, each := range events {
		digest := sha256.Sum256([]byte(each.payload))
		if number, _ := strconv.ParseInt(each.Sequence, 10, 64); number <= deleted {
			continue
		}
		if _, err := tx.Exec("INSERT INTO event VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
			of.source, of.epoch, each.Sequence, each.kind, each.day, digest[:], each.payload); err != nil {
			return now, err
		}
	}
	rows, err := tx.Query("SELECT sequence, encode(hash, 'hex'), payload::json ->> 'previoussha256' FROM event"+
		" WHERE source = $1 AND epoch = $2 AND sequence > $3 ORDER BY sequence LIMIT 10000", of.source, of.epoch, now.UpTo)
	if err != nil {
		return now, err
	}
	defer rows.Close()
	var found []link
	for rows.Next() {
		var each link
		if err := rows.Scan(&each.sequence, &each.hash, &each.previous); err != nil {
			return now, err
		}
		found = append(found, each)
	}
	if err := rows.Err(); err != nil {
		return now, err
	}
	for _, each := range found {
		follows := each.previous == now.Sha256
		if each.sequence != now.UpTo+1 {
			if follows, err = isLost(tx, of, now.UpTo+1, each.sequence); err != nil {
				return now, err
			}
		}
		if !follows {
			break
		}
		now.UpTo, now.Sha256 = each.sequence, each.hash
	}
	_, err = tx.Exec("UPDATE chain SET up_to = $3, hash = decode($4, 'hex') WHERE source = $1 AND epoch = $2",
		of.source, of.epoch, now.UpTo, now.Sha256)
	return now, err
}

// Whether the kiosk has said of all from `next` until before `sequence` that it had to give them up.
func isLost(tx *sql.Tx, of chain, next int64, sequence int64) (bool, error) {
	for next < sequence {
		var last sql.NullInt64
		err := tx.QueryRow("SELECT max((loss ->> 'last')::bigint) FROM event, json_extract_path(payload::json, 'data', 'loss') AS loss"+
			" WHERE source = $1 AND kind = 'agent' AND loss ->> 'epoch' = $2 AND (loss ->> 'first')::bigint <= $3"+
			" AND (loss ->> 'last')::bigint >= $3", of.source, of.epoch, next).Scan(&last)
		if err != nil || !last.Valid {
			return false, err
		}
		next = last.Int64 + 1
	}
	return true, nil
}

// DSSE 1.0
func signed(members receipt, key ed25519.PrivateKey, keyid string) []byte {
	kind := "application/vnd.gatepost.receipt.v1+json"
	payload, _ := json.Marshal(members)
	message := fmt.Sprintf("DSSEv1 %d %s %d %s", len(kind), kind, len(payload), payload)
	signature := base64.StdEncoding.EncodeToString(ed25519.Sign(key, []byte(message)))
	envelope, _ := json.Marshal(map[string]any{
		"payloadType": kind, "payload": base64.StdEncoding.EncodeToString(payload),
		"signatures": []map[string]string{{"keyid": keyid, "sig": signature}},
	})
	return envelope
}

func loadKey(file string) (ed25519.PrivateKey, string) {
	data, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		log.Fatal(file, ": no PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		log.Fatal(err)
	}
	key, isEd25519 := parsed.(ed25519.PrivateKey)
	if !isEd25519 {
		log.Fatal(file, ": no key of Ed25519")
	}
	spki, _ := x509.MarshalPKIXPublicKey(key.Public())
	digest := sha256.Sum256(spki)
	return key, hex.EncodeToString(digest[:8])
}

func isData(err error) bool {
	var refused *pq.Error
	return errors.As(err, &refused) && refused.Code.Class() == "22"
}

// Until it is committed; what the database takes on no account is dropped, one message at a time.
func keepAll(db *sql.DB, events []*event) []receipt {
	for {
		receipts, err := keep(db, events)
		switch {
		case err == nil:
			return receipts
		case isData(err) && len(events) == 1:
			log.Println("database:", err)
			return nil
		case isData(err):
			var all []receipt
			for _, each := range events {
				all = append(all, keepAll(db, []*event{each})...)
			}
			return all
		}
		log.Println("database:", err)
		time.Sleep(time.Second)
	}
}

func main() {
	if len(os.Args) < 4 {
		log.Fatal("usage: consumer 'postgresql:///gatepost?host=/var/run/postgresql' tcp://server:PASSWORD@broker:1883 receipts.key [SHARE]")
	}
	share := "server"
	if len(os.Args) > 4 {
		share = os.Args[4]
	}
	key, keyid := loadKey(os.Args[3])
	db, err := sql.Open("postgres", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	inbox := make(chan waiting, 10*batchMost)
	topic := "$share/" + share + "/gatepost/v1/+/+/event/#"
	options := mqtt.NewClientOptions().AddBroker(os.Args[2]).SetCleanSession(true)
	options.SetOrderMatters(false) // each message has a goroutine, and is acknowledged when its handler returns
	options.SetOnConnectHandler(func(client mqtt.Client) {
		client.Subscribe(topic, 1, func(_ mqtt.Client, message mqtt.Message) {
			committed := make(chan struct{})
			inbox <- waiting{message, committed}
			<-committed
		}).Wait()
		log.Println("listening")
	})
	client := mqtt.NewClient(options)
	for token := client.Connect(); token.Wait() && token.Error() != nil; token = client.Connect() {
		log.Println("broker:", token.Error())
		time.Sleep(time.Second)
	}
	due, newest := time.Now(), map[chain]receipt{}
	for {
		var batch []waiting
		select {
		case message := <-inbox:
			batch = append(batch, message)
		case <-time.After(100 * time.Millisecond):
		}
		for len(batch) > 0 && len(batch) < batchMost && len(inbox) > 0 {
			batch = append(batch, <-inbox)
		}
		var events []*event
		for _, each := range batch {
			if found := read(each.message.Topic(), each.message.Payload()); found != nil {
				events = append(events, found)
			}
		}
		if len(events) > 0 {
			for _, each := range keepAll(db, events) {
				newest[chain{each.Source, each.Epoch}] = each
			}
		}
		for _, each := range batch {
			close(each.committed)
		}
		if time.Now().After(due) {
			for _, each := range newest {
				client.Publish(each.Source[1:]+"/receipt", 1, true, signed(each, key, keyid))
			}
			newest, due = map[chain]receipt{}, time.Now().Add(time.Second)
		}
	}
}
