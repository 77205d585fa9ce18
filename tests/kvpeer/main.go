// Kvpeer is the gateway's transaction client as a process, for tests of other clients in modules of their own. It connects to
// the placement driver given as its argument, reads commands from standard input, and answers each with a line: what it is
// asked for, "ok", or "error" and why.
//
//	get KEY                      the value, or "-"
//	put KEY VALUE ...            one transaction
//	lock KEY VALUE ...           one pessimistic transaction
//	move FROM TO                 one from a number to another, until it is committed
//	die STEP KEY VALUE ...       a transaction at whose STEP, "prewrite", "prewritten", "commit" or "committed", the process ends
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/server/node"
	"github.com/scree-db/scree/server/pdclient"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

func main() {
	if err := run(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, pd string) error {
	placement, err := pdclient.Connect(ctx, []string{pd}, pdclient.Options{})
	if err != nil {
		return err
	}
	d := &dialer{Dialer: node.NewDialer()}
	p := &peer{Client: kvclient.New(placement, d, kvclient.Options{}), dialer: d}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		answer, err := p.command(ctx, strings.Fields(lines.Text()))
		if err != nil {
			answer = "error " + strings.ReplaceAll(err.Error(), "\n", " ")
		}
		fmt.Println(answer)
	}
	return errors.Join(lines.Err(), p.Close(), d.Close(), placement.Close())
}

type peer struct {
	*kvclient.Client
	dialer *dialer
}

func (p *peer) command(ctx context.Context, words []string) (string, error) {
	if len(words) < 2 {
		return "", errors.New("not a command")
	}
	switch args := words[1:]; words[0] {
	case "get":
		return p.get(ctx, args[0])
	case "put":
		return "ok", p.put(ctx, p.Begin, args)
	case "lock":
		return "ok", p.put(ctx, p.BeginPessimistic, args)
	case "move":
		return "ok", p.move(ctx, args[0], args[1])
	case "die":
		p.dialer.step = args[0]
		return "alive", errors.Join(p.put(ctx, p.Begin, args[1:]), p.Close()) // what is left to do in the background may kill
	}
	return "", errors.New("not a command")
}

func (p *peer) get(ctx context.Context, key string) (string, error) {
	txn, err := p.Begin(ctx)
	if err != nil {
		return "", err
	}
	val, err := txn.Get(ctx, []byte(key))
	if val == nil {
		return "-", err
	}
	return string(val), err
}

func (p *peer) put(ctx context.Context, begin func(context.Context) (*kvclient.Txn, error), pairs []string) error {
	txn, err := begin(ctx)
	if err != nil {
		return err
	}
	var keys [][]byte
	for i := 0; i+1 < len(pairs); i += 2 {
		keys = append(keys, []byte(pairs[i]))
		if err := txn.Set(keys[len(keys)-1], []byte(pairs[i+1])); err != nil {
			return err
		}
	}
	for {
		err := txn.Lock(ctx, keys, kvclient.NoWait)
		if conflict := (*kvclient.WriteConflictError)(nil); !errors.As(err, &conflict) {
			if err != nil {
				txn.Rollback()
				return err
			}
			return txn.Commit(ctx)
		}
		if err := txn.ReadNewest(ctx); err != nil {
			return err
		}
	}
}

func (p *peer) move(ctx context.Context, from, to string) error {
	for {
		err := p.tryMove(ctx, from, to)
		if conflict := (*kvclient.WriteConflictError)(nil); !errors.As(err, &conflict) {
			return err
		}
	}
}

func (p *peer) tryMove(ctx context.Context, from, to string) error {
	txn, err := p.Begin(ctx)
	if err != nil {
		return err
	}
	for key, by := range map[string]int{from: -1, to: 1} {
		val, err := txn.Get(ctx, []byte(key))
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(val))
		if err != nil {
			return err
		}
		if err := txn.Set([]byte(key), []byte(strconv.Itoa(n+by))); err != nil {
			return err
		}
	}
	return txn.Commit(ctx)
}

// dialer dials stores that end the process at one step of a commit, as a power cut would.
type dialer struct {
	*node.Dialer
	step string
}

func (d *dialer) Dial(ctx context.Context, addr string) (kvclient.Store, error) {
	s, err := d.Dialer.Dial(ctx, addr)
	return mortalStore{s, d}, err
}

type mortalStore struct {
	kvclient.Store
	d *dialer
}

func (s mortalStore) reach(step string) {
	if s.d.step == step {
		os.Exit(0)
	}
}

func (s mortalStore) KvPrewrite(ctx context.Context, req *kvrpcpb.PrewriteRequest) (*kvrpcpb.PrewriteResponse, error) {
	s.reach("prewrite")
	resp, err := s.Store.KvPrewrite(ctx, req)
	s.reach("prewritten")
	return resp, err
}

func (s mortalStore) KvCommit(ctx context.Context, req *kvrpcpb.CommitRequest) (*kvrpcpb.CommitResponse, error) {
	s.reach("commit")
	resp, err := s.Store.KvCommit(ctx, req)
	s.reach("committed")
	return resp, err
}
