// Package client runs the client of November 2024, the last one before it needed a newer placement driver.
package client

import (
	"os"
	"testing"

	"github.com/scree-db/scree/tests/clientsuite"
)

func TestMain(m *testing.M) { os.Exit(clientsuite.Main(m)) }

var version = clientsuite.Version{
	Reverse: func(txn *clientsuite.Txn, upper, lower []byte) (clientsuite.Iterator, error) {
		return txn.IterReverse(upper, lower)
	},
}

func TestClient(t *testing.T) { clientsuite.Run(t, version) }

func TestRawWithTTL(t *testing.T) { clientsuite.RunTTL(t, version) }

func TestKeyspaces(t *testing.T) { clientsuite.RunKeyspaces(t, version) }
