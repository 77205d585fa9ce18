// Command scree is the whole of Scree: `scree playground` runs a cluster in one process, `scree pd`, `store` and `gateway`
// one in several; the other commands work with one that runs. Each sub-command has a file of its own here, and holds no logic beyond wiring.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/scree-db/scree/server/zaplog"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the process at once
	}()
	// Until a command says otherwise, only what goes wrong is worth a line on the terminal.
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	slog.SetDefault(log)
	zaplog.ReplaceGlobals(log)
	if err := newRoot().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "scree:", err)
		os.Exit(1)
	}
}

// newRoot assembles the commands.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "scree",
		Short: "A distributed transactional SQL store with a pushdown coprocessor",
		Long: "Scree speaks MySQL, keeps its data in regions replicated by raft, and runs queries where the data is.\n" +
			"Start with: scree playground",
		SilenceUsage: true, SilenceErrors: true,
		Version: version,
	}
	root.AddCommand(newPlayground(), newPD(), newStore(), newGateway(), newLoad(), newBench(), newSQLCommand(), newDAG(), newCtl(), newVersion())
	return root
}
