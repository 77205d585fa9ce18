package raw

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/storage"
	"github.com/scree-db/scree/storage/storagetest"
)

// TestScripts runs the calls of testdata on a store and a clock that stands still between them. `store api=V` begins anew;
// all requests are marked with the version of the last `client api=V`.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &script{t: t}
		datadriven.RunTest(t, path, s.run)
	})
}

type script struct {
	t     *testing.T
	store *storagetest.Store
	s     *Service
	now   time.Time
	api   kvrpcpb.APIVersion
}

func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	s.t = t
	switch d.Cmd {
	case "store":
		s.api, s.now, s.store = s.version(d), time.Unix(1000, 0), storagetest.New(t)
		s.s = New(s.store, Options{API: s.api, Now: func() time.Time { return s.now }})
	case "client":
		s.api = s.version(d)
	case "advance":
		s.now = s.now.Add(time.Duration(number(t, d, "seconds")) * time.Second)
	case "sweep":
		n, err := s.s.Sweep(ctx, storage.Region{ID: storagetest.RegionID})
		return s.answer(fmt.Sprintf("%d deleted", n), "", err)
	case "stored":
		return s.stored()
	case "put", "delete", "cas", "delete-range":
		return s.write(d)
	default:
		return s.read(d)
	}
	return ""
}

func (s *script) version(d *datadriven.TestData) kvrpcpb.APIVersion {
	v, ok := kvrpcpb.APIVersion_value[text1(s.t, d, "api")]
	require.True(s.t, ok, d.Pos)
	return kvrpcpb.APIVersion(v)
}

func text1(t *testing.T, d *datadriven.TestData, key string) (v string) {
	d.MaybeScanArgs(t, key, &v)
	return v
}

func number(t *testing.T, d *datadriven.TestData, key string) (n uint64) {
	d.MaybeScanArgs(t, key, &n)
	return n
}

func (s *script) bytes(d *datadriven.TestData, key string) []byte {
	return unquote(text1(s.t, d, key))
}

// unquote reads K as the prefix of keyspace 1.
func unquote(v string) []byte {
	if rest, ok := strings.CutPrefix(v, "K"); ok {
		return []byte("r\x00\x00\x01" + rest)
	}
	return []byte(v)
}

func quote(key []byte) string {
	if rest, ok := strings.CutPrefix(string(key), "r\x00\x00\x01"); ok {
		return "K" + rest
	}
	return string(key)
}

func (s *script) answer(ok, refused string, err error) string {
	require.NoError(s.t, err)
	if refused != "" {
		return "refused: " + refused
	}
	return ok
}

func (s *script) pb() *kvrpcpb.Context {
	pb := storagetest.Context()
	pb.ApiVersion = s.api
	return pb
}

func (s *script) write(d *datadriven.TestData) string {
	key, cf := s.bytes(d, "key"), text1(s.t, d, "cf")
	switch d.Cmd {
	case "put":
		if d.Input != "" {
			return s.batchPut(d)
		}
		resp, err := s.s.Put(ctx, &kvrpcpb.RawPutRequest{
			Context: s.pb(), Key: key, Value: s.bytes(d, "value"), Cf: cf, Ttl: number(s.t, d, "ttl"), ForCas: d.HasArg("for-cas"),
		})
		return s.answer("", resp.GetError(), err)
	case "delete":
		resp, err := s.s.BatchDelete(ctx, &kvrpcpb.RawBatchDeleteRequest{Context: s.pb(), Keys: [][]byte{key}, Cf: cf})
		return s.answer("", resp.GetError(), err)
	case "delete-range":
		resp, err := s.s.DeleteRange(ctx, &kvrpcpb.RawDeleteRangeRequest{Context: s.pb(), StartKey: s.bytes(d, "start"), EndKey: s.bytes(d, "end"), Cf: cf})
		return s.answer("", resp.GetError(), err)
	}
	resp, err := s.s.CompareAndSwap(ctx, &kvrpcpb.RawCASRequest{
		Context: s.pb(), Key: key, Value: s.bytes(d, "value"), PreviousNotExist: !d.HasArg("previous"), PreviousValue: s.bytes(d, "previous"),
		Cf: cf, Ttl: number(s.t, d, "ttl"), Delete: d.HasArg("delete"),
	})
	found := string(resp.GetPreviousValue())
	if resp.GetPreviousNotExist() {
		found = "nothing"
	}
	return s.answer(fmt.Sprintf("succeed=%v found=%s", resp.GetSucceed(), found), resp.GetError(), err)
}

// batchPut puts the pairs of the input, key=value each, with as many ttls as the command names.
func (s *script) batchPut(d *datadriven.TestData) string {
	req := &kvrpcpb.RawBatchPutRequest{Context: s.pb(), Cf: text1(s.t, d, "cf")}
	for line := range strings.Lines(d.Input) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
		req.Pairs = append(req.Pairs, &kvrpcpb.KvPair{Key: unquote(k), Value: []byte(v)})
	}
	for _, arg := range d.CmdArgs {
		if arg.Key != "ttls" {
			continue
		}
		for i := range arg.Vals {
			var ttl uint64
			arg.Scan(s.t, i, &ttl)
			req.Ttls = append(req.Ttls, ttl)
		}
	}
	resp, err := s.s.BatchPut(ctx, req)
	return s.answer("", resp.GetError(), err)
}

func (s *script) read(d *datadriven.TestData) string {
	key, cf := s.bytes(d, "key"), text1(s.t, d, "cf")
	switch d.Cmd {
	case "get":
		resp, err := s.s.Get(ctx, &kvrpcpb.RawGetRequest{Context: s.pb(), Key: key, Cf: cf})
		if resp.GetNotFound() {
			return "not found"
		}
		return s.answer(fmt.Sprintf("%q", resp.GetValue()), resp.GetError(), err)
	case "ttl":
		resp, err := s.s.GetKeyTTL(ctx, &kvrpcpb.RawGetKeyTTLRequest{Context: s.pb(), Key: key, Cf: cf})
		if resp.GetNotFound() {
			return "not found"
		}
		return s.answer(fmt.Sprint(resp.GetTtl()), resp.GetError(), err)
	case "batch-get":
		var keys [][]byte
		for _, k := range strings.Fields(d.Input) {
			keys = append(keys, unquote(k))
		}
		resp, err := s.s.BatchGet(ctx, &kvrpcpb.RawBatchGetRequest{Context: s.pb(), Keys: keys, Cf: cf})
		return s.answer(pairs(resp.GetPairs()), "", err)
	case "scan":
		resp, err := s.s.Scan(ctx, &kvrpcpb.RawScanRequest{
			Context: s.pb(), Cf: cf, StartKey: s.bytes(d, "start"), EndKey: s.bytes(d, "end"), Limit: 100,
			Reverse: d.HasArg("reverse"), KeyOnly: d.HasArg("key-only"),
		})
		return s.answer(pairs(resp.GetKvs()), "", err)
	case "checksum":
		resp, err := s.s.Checksum(ctx, &kvrpcpb.RawChecksumRequest{Context: s.pb(), Ranges: []*kvrpcpb.KeyRange{{StartKey: s.bytes(d, "start"), EndKey: s.bytes(d, "end")}}})
		return s.answer(fmt.Sprintf("%016x pairs=%d bytes=%d", resp.GetChecksum(), resp.GetTotalKvs(), resp.GetTotalBytes()), resp.GetError(), err)
	}
	d.Fatalf(s.t, "unknown command")
	return ""
}

func pairs(kvs []*kvrpcpb.KvPair) string {
	var b strings.Builder
	for _, kv := range kvs {
		if kv.Error != nil {
			fmt.Fprintf(&b, "refused: %s\n", kv.Error.Abort)
			continue
		}
		fmt.Fprintf(&b, "%s=%s\n", quote(kv.Key), kv.Value)
	}
	return b.String()
}

// stored is everything in the engine, as it is there.
func (s *script) stored() string {
	var b strings.Builder
	for _, cf := range s.s.families() {
		it, err := s.store.Engine.NewIterator(storage.IterOptions{CF: cf})
		require.NoError(s.t, err)
		for ok := it.First(); ok; ok = it.Next() {
			fmt.Fprintf(&b, "%c %x -> %x\n", cf, it.Key(), it.Value())
		}
		require.NoError(s.t, it.Close())
	}
	return b.String()
}
