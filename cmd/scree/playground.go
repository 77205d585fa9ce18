package main

import (
	"github.com/spf13/cobra"
)

func newPlayground() *cobra.Command {
	var file, load string
	var sql bool
	d := defaultConfig()
	cmd := &cobra.Command{
		Use:   "playground",
		Short: "Run a whole cluster in this process",
		Long: "Starts a placement driver, stores and the SQL gateway in one process, and prints how to connect. The data\n" +
			"stays in the data directory and is there again at the next start.",
		Example: "  scree playground\n  scree playground --stores 3 --load tpch:0.01\n  scree playground --sql",
		Args:    cobra.NoArgs,
	}
	flags := cmd.Flags()
	processFlags(flags, &file, d.DataDir)
	storeFlags(flags)
	flags.StringVar(&load, "load", "", "load a data set first: tpch:SCALE")
	flags.BoolVar(&sql, "sql", false, "drop into a SQL shell; the playground stops with it")
	flags.Int("stores", d.Stores, "number of stores")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := configure(cmd, file)
		if err != nil {
			return err
		}
		spec, err := parseLoad(load)
		if err != nil {
			return err
		}
		return run(cmd.Context(), c, parts{pd: true, stores: true, gateway: true}, first{load: spec, shell: sql}, cmd.OutOrStdout())
	}
	return cmd
}
