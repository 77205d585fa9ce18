package main

import (
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// processFlags are those of every command that runs a part of a cluster. file is for the configuration's path.
func processFlags(flags *pflag.FlagSet, file *string, dataDir string) {
	d := defaultConfig()
	flags.StringVar(file, "config", "", "configuration file, see etc/scree.toml")
	flags.String("data-dir", dataDir, "where all data lives")
	flags.String("host", d.Host, "address to listen on")
	flags.String("advertise-host", d.AdvertiseHost, "address that others dial, if it is not the one listened on")
	flags.Int("port-offset", d.PortOffset, "added to every port")
	flags.String("log-level", d.Log.Level, "debug, info, warn or error")
}

// storeFlags are those of commands that run stores.
func storeFlags(flags *pflag.FlagSet) {
	d := defaultConfig()
	flags.Int("api-version", d.Storage.APIVersion, "of TiKV's clients: 1, or 2 for raw and transactional keys side by side")
	flags.Bool("enable-ttl", d.Storage.EnableTTL, "raw keys may expire; with API version 1 the cluster serves raw keys alone")
}

// configure is the file's configuration, if there is one, with flags over it.
func configure(cmd *cobra.Command, file string) (c config, err error) {
	flags := cmd.Flags()
	c = defaultConfig()
	c.DataDir = flags.Lookup("data-dir").DefValue
	if file != "" {
		if c, err = loadConfig(file, c); err != nil {
			return c, err
		}
	}
	for name, set := range map[string]func() error{
		"stores":         func() (err error) { c.Stores, err = flags.GetInt("stores"); return err },
		"data-dir":       func() (err error) { c.DataDir, err = flags.GetString("data-dir"); return err },
		"host":           func() (err error) { c.Host, err = flags.GetString("host"); return err },
		"advertise-host": func() (err error) { c.AdvertiseHost, err = flags.GetString("advertise-host"); return err },
		"port-offset":    func() (err error) { c.PortOffset, err = flags.GetInt("port-offset"); return err },
		"pd":             func() (err error) { c.PD.Endpoints, err = flags.GetStringSlice("pd"); return err },
		"api-version":    func() (err error) { c.Storage.APIVersion, err = flags.GetInt("api-version"); return err },
		"enable-ttl":     func() (err error) { c.Storage.EnableTTL, err = flags.GetBool("enable-ttl"); return err },
		"log-level":      func() (err error) { c.Log.Level, err = flags.GetString("log-level"); return err },
	} {
		if flags.Changed(name) {
			err = errors.Join(err, set())
		}
	}
	return c, errors.Join(err, c.check())
}
