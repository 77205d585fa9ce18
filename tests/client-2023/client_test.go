// Package client runs version 2.0.7 of the client, its last tagged release, of 2023.
package client

import (
	"os"
	"testing"

	"github.com/scree-db/scree/tests/clientsuite"
)

func TestMain(m *testing.M) { os.Exit(clientsuite.Main(m)) }

var version = clientsuite.Version{
	Reverse: func(txn *clientsuite.Txn, upper, _ []byte) (clientsuite.Iterator, error) {
		return txn.IterReverse(upper)
	},
}

func TestClient(t *testing.T) { clientsuite.Run(t, version) }

func TestRawWithTTL(t *testing.T) { clientsuite.RunTTL(t, version) }

func TestKeyspaces(t *testing.T) { clientsuite.RunKeyspaces(t, version) }
