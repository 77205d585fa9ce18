package main

import (
	"errors"
	"fmt"
	"net"

	"github.com/spf13/cobra"
)

// The roles of a cluster of several processes. Each has a directory of its own, which is its identity: a store that is
// started again on its directory is the same store, wherever it listens now.

func newPD() *cobra.Command {
	return newRole(parts{pd: true}, &cobra.Command{
		Use:   "pd",
		Short: "Run a cluster's placement driver",
		Long: "Runs the placement driver: the first process of a cluster, where stores and gateways find each other and\n" +
			"timestamps come from. A cluster has one. Clients of TiKV connect to it.",
		Example: "  scree pd --data-dir /var/lib/scree/pd",
	})
}

func newStore() *cobra.Command {
	cmd := newRole(parts{stores: true}, &cobra.Command{
		Use:   "store",
		Short: "Run a storage node",
		Long: "Runs one store of the cluster whose placement driver is at --pd, and waits for that at the start. With three or\n" +
			"more stores every region has three replicas.",
		Example: "  scree store --pd 127.0.0.1:2379 --data-dir /var/lib/scree/store\n" +
			"  scree store --pd 127.0.0.1:2379 --data-dir ./second --port-offset 1",
	})
	storeFlags(cmd.Flags())
	return cmd
}

func newGateway() *cobra.Command {
	return newRole(parts{gateway: true}, &cobra.Command{
		Use:   "gateway",
		Short: "Run a SQL gateway",
		Long: "Serves MySQL for the cluster whose placement driver is at --pd, as soon as that has stores. A gateway holds no\n" +
			"data: its directory is for the log, and for what statements cannot hold in memory.",
		Example: "  scree gateway --pd 127.0.0.1:2379",
	})
}

// newRole completes the command that runs parts of a cluster.
func newRole(p parts, cmd *cobra.Command) *cobra.Command {
	var file string
	cmd.Args = cobra.NoArgs
	processFlags(cmd.Flags(), &file, "./scree-"+cmd.Use)
	if !p.pd {
		cmd.Flags().StringSlice("pd", defaultConfig().PD.Endpoints, "addresses of the placement driver")
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := configure(cmd, file)
		if err != nil {
			return err
		}
		if !p.gateway && c.AdvertiseHost == "" && c.listensEverywhere() {
			return fmt.Errorf("host = %q is no address that others can dial: say which one is, with advertise-host", c.Host)
		}
		if !p.pd && len(c.PD.Endpoints) == 0 {
			return errors.New("pd.endpoints is empty")
		}
		return run(cmd.Context(), c, p, first{}, cmd.OutOrStdout())
	}
	return cmd
}

// listensEverywhere says whether host stands for every address of the machine.
func (c *config) listensEverywhere() bool {
	ip := net.ParseIP(c.Host)
	return ip != nil && ip.IsUnspecified()
}
