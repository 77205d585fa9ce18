// Package client runs the client of November 2024, the last one before it needed a newer placement driver.
package client

import (
	"os"
	"testing"

	"github.com/tikv/client-go/v2/tikv"
	"github.com/tikv/client-go/v2/txnkv"

	"github.com/scree-db/scree/tests/clientsuite"
)

func TestMain(m *testing.M) { os.Exit(clientsuite.Main(m)) }

var version = clientsuite.Version{
	Reverse: func(txn *clientsuite.Txn, upper, lower []byte) (clientsuite.Iterator, error) {
		return txn.IterReverse(upper, lower)
	},
	BeginPipelined: func(c *txnkv.Client) (*clientsuite.Txn, error) { return c.Begin(tikv.WithPipelinedMemDB()) },
	Flush: func(txn *clientsuite.Txn) error {
		_, err := txn.GetMemBuffer().Flush(true)
		return err
	},
	FlushWait: func(txn *clientsuite.Txn) error { return txn.GetMemBuffer().FlushWait() },
}

func TestClient(t *testing.T) { clientsuite.Run(t, version) }

func TestRawWithTTL(t *testing.T) { clientsuite.RunTTL(t, version) }

func TestKeyspaces(t *testing.T) { clientsuite.RunKeyspaces(t, version) }
