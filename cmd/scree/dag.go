package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/pingcap/tipb/go-tipb"
	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/scree-db/scree/coprocessor"
	"github.com/scree-db/scree/executor"
	"github.com/scree-db/scree/executor/dagjson"
	"github.com/scree-db/scree/server/node"
	"github.com/scree-db/scree/server/pdclient"
	"github.com/scree-db/scree/server/transport"
	"github.com/scree-db/scree/sql-gateway/distsql"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

type dagFlags struct {
	pd, file, format string
	ranges           []string
	defaultEncoding  bool
}

func newDAG() *cobra.Command {
	var f dagFlags
	cmd := &cobra.Command{
		Use:   "dag",
		Short: "Send a DAG request to the stores' coprocessors and print the rows",
		Long: "Reads a pushed plan, sends it to the leader of every region of its ranges, and prints what comes back:\n" +
			"for an aggregation one partial result from each region.\n\n" +
			"The file is a JSON document as EXPLAIN FORMAT='dag' prints it, or a binary tipb.DAGRequest with --range.",
		Example: "  scree dag --pd 127.0.0.1:2379 -f q6.json --format csv",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runDAG(cmd.Context(), f, cmd.OutOrStdout()) },
	}
	cmd.Flags().StringVar(&f.pd, "pd", "127.0.0.1:2379", "addresses of the placement driver, separated by commas")
	cmd.Flags().StringVarP(&f.file, "file", "f", "", "the request; - reads standard input")
	cmd.Flags().StringVar(&f.format, "format", "table", "table, csv or json")
	cmd.Flags().StringArrayVar(&f.ranges, "range", nil, "key range START:END in hexadecimal, for a binary request; may be repeated")
	cmd.Flags().BoolVar(&f.defaultEncoding, "default-encoding", false, "have rows sent as datums instead of columns")
	if err := cmd.MarkFlagRequired("file"); err != nil {
		panic(err) // the flag is two lines above
	}
	return cmd
}

func runDAG(ctx context.Context, f dagFlags, out io.Writer) (err error) {
	print, err := printer(f.format)
	if err != nil {
		return err
	}
	doc, err := readDAG(f)
	if err != nil {
		return err
	}
	fields, err := coprocessor.Fields(doc.DAG)
	if err != nil {
		return err
	}
	pd, err := pdclient.Connect(ctx, strings.Split(f.pd, ","), pdclient.Options{
		DialOptions: []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.ForceCodecV2(transport.Codec()))},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pd.Close()) }()
	encode := tipb.EncodeType_TypeChunk
	if f.defaultEncoding {
		encode = tipb.EncodeType_TypeDefault
	}
	dialer := node.NewEncodedDialer(encode)
	defer func() { err = errors.Join(err, dialer.Close()) }()
	client := kvclient.New(pd, dialer, kvclient.Options{})
	defer func() { err = errors.Join(err, client.Close()) }()
	rows, err := selectDAG(ctx, client, doc, fields)
	if err != nil {
		return err
	}
	return errors.Join(print(ctx, out, rows), rows.Close())
}

// selectDAG runs the request at a fresh timestamp, in key order.
func selectDAG(ctx context.Context, client *kvclient.Client, doc *dagjson.Document, fields []*tipb.FieldType) (executor.Operator, error) {
	ts, err := client.TS(ctx)
	if err != nil {
		return nil, err
	}
	req := &distsql.Request{DAG: doc.DAG, Fields: fields, TS: ts, KeepOrder: true}
	for _, r := range doc.Ranges {
		req.Ranges = append(req.Ranges, kvclient.KeyRange{Start: r.Start, End: r.End})
	}
	for _, e := range doc.DAG.Executors {
		req.Desc = req.Desc || e.GetTblScan().GetDesc() || e.GetIdxScan().GetDesc()
	}
	return distsql.Select(ctx, client, req)
}

// readDAG reads the request in either form.
func readDAG(f dagFlags) (*dagjson.Document, error) {
	in := io.Reader(os.Stdin)
	if f.file != "-" {
		file, err := os.Open(f.file)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, dagjson.MaxBytes+1))
	if err != nil {
		return nil, err
	}
	if len(f.ranges) == 0 {
		return dagjson.Unmarshal(text)
	}
	doc := &dagjson.Document{}
	if doc.DAG, err = coprocessor.DecodeDAG(text); err != nil {
		return nil, err
	}
	for _, r := range f.ranges {
		start, end, ok := strings.Cut(r, ":")
		from, err1 := hex.DecodeString(start)
		to, err2 := hex.DecodeString(end)
		if err := errors.Join(err1, err2); err != nil || !ok {
			return nil, fmt.Errorf("range %q is not START:END in hexadecimal", r)
		}
		doc.Ranges = append(doc.Ranges, dagjson.Range{Start: from, End: to})
	}
	return doc, nil
}
