package gcworker

import (
	"context"
	"encoding/json"
	"time"

	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// settingsKey holds Settings as JSON, once one has been changed.
var settingsKey = []byte("m_gc_settings")

// Settings are the cluster's: the variables tidb_gc_... of all gateways.
type Settings struct {
	Enable bool `json:"enable"`
	// LifeTime is how long old versions are kept at least.
	LifeTime time.Duration `json:"life_time"`
	// RunInterval is the time from one run to the next.
	RunInterval time.Duration `json:"run_interval"`
	// MaxWait is the age up to which a transaction holds the safe point back.
	MaxWait time.Duration `json:"max_wait"`
}

// DefaultSettings are those of TiDB.
func DefaultSettings() Settings {
	return Settings{Enable: true, LifeTime: 10 * time.Minute, RunInterval: 10 * time.Minute, MaxWait: 24 * time.Hour}
}

// LoadSettings reads the cluster's settings.
func LoadSettings(ctx context.Context, c *kvclient.Client) (Settings, error) {
	s := DefaultSettings()
	err := inTxn(ctx, c, settingsKey, func(old []byte) ([]byte, error) { return nil, decode(old, &s) })
	return s, err
}

// ChangeSettings changes the cluster's settings and returns them.
func ChangeSettings(ctx context.Context, c *kvclient.Client, change func(*Settings)) (Settings, error) {
	s := DefaultSettings()
	err := inTxn(ctx, c, settingsKey, func(old []byte) ([]byte, error) {
		if err := decode(old, &s); err != nil {
			return nil, err
		}
		change(&s)
		return json.Marshal(s)
	})
	return s, err
}
