package pdclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	pdhttp "github.com/tikv/pd/client/http"
)

// StoreInfos lists all stores but the buried, with what the placement driver knows of them, by id.
func (c *Client) StoreInfos(ctx context.Context) ([]pdhttp.StoreInfo, error) {
	var doc pdhttp.StoresInfo
	err := c.getJSON(ctx, pdhttp.Stores, nil, &doc)
	return doc.Stores, err
}

// RegionInfos lists up to limit regions with what the placement driver knows of them, in key order, from the one with the encoded
// key start on, as far as end; an empty end is no bound.
func (c *Client) RegionInfos(ctx context.Context, start, end []byte, limit int) ([]pdhttp.RegionInfo, error) {
	var doc pdhttp.RegionsInfo
	query := url.Values{"key": {string(start)}, "end_key": {string(end)}, "limit": {strconv.Itoa(limit)}}
	err := c.getJSON(ctx, "/pd/api/v1/regions/key", query, &doc)
	return doc.Regions, err
}

// LeaderAddr is the address of the placement driver, empty if that is not known now.
func (c *Client) LeaderAddr() string {
	_, addr, _ := strings.Cut(c.pd.GetLeaderURL(), "://")
	return addr
}

// answerMax bounds an answer, in bytes.
const answerMax = 256 << 20

// getJSON asks the leader over HTTP.
func (c *Client) getJSON(ctx context.Context, path string, query url.Values, doc any) error {
	leader := c.pd.GetLeaderURL()
	if leader == "" {
		return errors.New("the placement driver has no leader")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, leader+path+"?"+query.Encode(), nil)
	if err != nil {
		return fmt.Errorf("ask the placement driver: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask the placement driver: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask the placement driver for %s: %s", path, resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, answerMax)).Decode(doc); err != nil {
		return fmt.Errorf("answer of the placement driver for %s: %w", path, err)
	}
	return nil
}
