package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/scree-db/scree/server/node"
	"github.com/scree-db/scree/server/pdclient"
	"github.com/scree-db/scree/server/transport"
	"github.com/scree-db/scree/sql-gateway/admin"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

type ctlFlags struct {
	pd, format, start, end string
	ts                     uint64
	limit                  int
}

// ctlAction is what one sub-command asks.
type ctlAction func(ctx context.Context, a *admin.Admin, args []string) (*admin.Table, error)

func newCtl() *cobra.Command {
	f := new(ctlFlags)
	cmd := &cobra.Command{
		Use:   "ctl",
		Short: "Look into a cluster: stores, regions, keys with all their versions, locks",
		Long: "Looks into a cluster through its placement driver.\n\n" +
			"A KEY is text with escapes (t\\200\\x00), bytes (hex:7480), a row of a table (table:test.t/5 is the row with\n" +
			"the integer key 5) or, where several keys will do, a table (table:test.t) or the beginning of keys.",
		Args: cobra.NoArgs,
	}
	flags := cmd.PersistentFlags()
	flags.StringVar(&f.pd, "pd", "127.0.0.1:2379", "addresses of the placement driver, separated by commas")
	flags.StringVar(&f.format, "format", "table", "table or json")
	cmd.AddCommand(
		f.command("stores", "The stores, with the regions that they hold and lead", cobra.NoArgs,
			func(ctx context.Context, a *admin.Admin, _ []string) (*admin.Table, error) { return a.Stores(ctx) }),
		f.ranged("regions [KEY]", "The regions, or those with some keys", func(ctx context.Context, a *admin.Admin, r kvclient.KeyRange) (*admin.Table, error) {
			return a.Regions(ctx, r)
		}),
		f.command("mvcc KEY", "All that is stored of a key: lock, versions, long values", cobra.ExactArgs(1), f.mvcc),
		f.timed(f.ranged("scan [KEY]", "Keys and their values", func(ctx context.Context, a *admin.Admin, r kvclient.KeyRange) (*admin.Table, error) {
			return a.Scan(ctx, r, f.ts, f.limit)
		}), "read as of this timestamp; 0 is now"),
		f.timed(f.ranged("locks [KEY]", "Locks of transactions", func(ctx context.Context, a *admin.Admin, r kvclient.KeyRange) (*admin.Table, error) {
			return a.Locks(ctx, r, f.ts, f.limit)
		}), "of transactions that began at or below this timestamp; 0 is all"),
		f.command("split KEY", "Cut a region in two at a key", cobra.ExactArgs(1), f.split),
		f.ranged("compact [KEY]", "Have every store rewrite its data, and drop what is deleted", func(ctx context.Context, a *admin.Admin, r kvclient.KeyRange) (*admin.Table, error) {
			return a.Compact(ctx, r)
		}),
		f.command("flashback TIMESTAMP", "Put all tables back, to finish a FLASHBACK CLUSTER that a gateway could not", cobra.ExactArgs(1), flashback),
		f.command("gc", "How far old versions are collected, and what holds that back", cobra.NoArgs,
			func(ctx context.Context, a *admin.Admin, _ []string) (*admin.Table, error) { return a.GC(ctx) }),
	)
	return cmd
}

func (f *ctlFlags) command(use, short string, args cobra.PositionalArgs, do ctlAction) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: args, RunE: func(cmd *cobra.Command, args []string) error {
		return f.run(cmd.Context(), cmd.OutOrStdout(), args, do)
	}}
}

// ranged is a command over a range of keys: by its argument, or by bounds.
func (f *ctlFlags) ranged(use, short string, do func(context.Context, *admin.Admin, kvclient.KeyRange) (*admin.Table, error)) *cobra.Command {
	cmd := f.command(use, short, cobra.MaximumNArgs(1), func(ctx context.Context, a *admin.Admin, args []string) (*admin.Table, error) {
		r, err := f.keys(ctx, a, args)
		if err != nil {
			return nil, err
		}
		return do(ctx, a, r)
	})
	cmd.Flags().StringVar(&f.start, "start", "", "instead of KEY: the first key")
	cmd.Flags().StringVar(&f.end, "end", "", "instead of KEY: the key to stop before")
	return cmd
}

// timed adds the flags of commands that read at a timestamp.
func (f *ctlFlags) timed(cmd *cobra.Command, usage string) *cobra.Command {
	cmd.Flags().Uint64Var(&f.ts, "ts", 0, usage)
	cmd.Flags().IntVar(&f.limit, "limit", 100, "print that many at most; 0 is all")
	return cmd
}

func (f *ctlFlags) keys(ctx context.Context, a *admin.Admin, args []string) (r kvclient.KeyRange, err error) {
	if len(args) == 1 {
		if f.start != "" || f.end != "" {
			return r, errors.New("either KEY or --start and --end")
		}
		_, r, err = a.ParseRange(ctx, args[0])
		return r, err
	}
	if r.Start, err = a.ParseKey(ctx, f.start); err == nil {
		r.End, err = a.ParseKey(ctx, f.end)
	}
	return r, err
}

func (f *ctlFlags) mvcc(ctx context.Context, a *admin.Admin, args []string) (*admin.Table, error) {
	key, _, err := a.ParseRange(ctx, args[0])
	if err != nil {
		return nil, err
	}
	return a.MVCC(ctx, key)
}

func (f *ctlFlags) split(ctx context.Context, a *admin.Admin, args []string) (*admin.Table, error) {
	key, err := a.ParseKey(ctx, args[0])
	if err != nil {
		return nil, err
	}
	return a.Split(ctx, key)
}

func flashback(ctx context.Context, a *admin.Admin, args []string) (*admin.Table, error) {
	ts, err := strconv.ParseUint(args[0], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("timestamp %q is not a number", args[0])
	}
	return a.Flashback(ctx, ts)
}

// run connects, acts and prints.
func (f *ctlFlags) run(ctx context.Context, out io.Writer, args []string, do ctlAction) (err error) {
	print, err := tablePrinter(f.format)
	if err != nil {
		return err
	}
	if f.limit <= 0 {
		f.limit = math.MaxInt
	}
	pd, err := pdclient.Connect(ctx, strings.Split(f.pd, ","), pdclient.Options{
		DialOptions: []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.ForceCodecV2(transport.Codec()))},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pd.Close()) }()
	dialer := node.NewDialer()
	defer func() { err = errors.Join(err, dialer.Close()) }()
	client := kvclient.New(pd, dialer, kvclient.Options{})
	defer func() { err = errors.Join(err, client.Close()) }()
	table, err := do(ctx, admin.New(client, pd, dialer), args)
	if err != nil {
		return err
	}
	return print(table, out)
}
