package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"

	"github.com/go-sql-driver/mysql"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/scree-db/scree/sql-gateway/admin"
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
	flags.Bool("columnar", d.Columnar.Enabled, "keep copies of tables by columns for scans of many rows")
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
		"columnar":       func() (err error) { c.Columnar.Enabled, err = flags.GetBool("columnar"); return err },
		"enable-ttl":     func() (err error) { c.Storage.EnableTTL, err = flags.GetBool("enable-ttl"); return err },
		"log-level":      func() (err error) { c.Log.Level, err = flags.GetString("log-level"); return err },
	} {
		if flags.Changed(name) {
			err = errors.Join(err, set())
		}
	}
	return c, errors.Join(err, c.check())
}

// gatewayFlags say which gateway a client command connects to.
type gatewayFlags struct {
	host, user, password string
	port                 int
}

func (g *gatewayFlags) add(f *pflag.FlagSet) {
	f.StringVar(&g.host, "host", "127.0.0.1", "address of the gateway")
	f.IntVarP(&g.port, "port", "P", mysqlPort, "port of the gateway")
	f.StringVarP(&g.user, "user", "u", "root", "user name")
	f.StringVarP(&g.password, "password", "p", "", "password")
}

func (g *gatewayFlags) config() *mysql.Config {
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(g.host, strconv.Itoa(g.port))
	cfg.User, cfg.Passwd = g.user, g.password
	return cfg
}

// tablePrinter is how commands that answer with a table print it, by the name of the format.
func tablePrinter(format string) (func(*admin.Table, io.Writer) error, error) {
	switch format {
	case "table":
		return (*admin.Table).WriteText, nil
	case "json":
		return (*admin.Table).WriteJSON, nil
	}
	return nil, fmt.Errorf("format %q is none of table, json", format)
}
