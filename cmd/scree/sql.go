package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/scree-db/scree/sql-gateway/shell"
)

// newSQLCommand makes `scree sql`.
func newSQLCommand() *cobra.Command {
	o := shell.Options{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, HistoryFile: shell.DefaultHistoryFile()}
	cmd := &cobra.Command{
		Use:   "sql",
		Short: "Run SQL statements against a gateway",
		Long: "Runs the statements of -e, or of standard input, or reads them from the terminal.\n" +
			"Statements end with ; or \\G; \\q leaves.",
		Example: "  scree sql\n  scree sql -e 'SHOW DATABASES'\n  scree sql --database test < script.sql",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return shell.Run(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVarP(&o.Execute, "execute", "e", "", "statements to run")
	f.StringVar(&o.Host, "host", "127.0.0.1", "address of the gateway")
	f.IntVarP(&o.Port, "port", "P", mysqlPort, "port of the gateway")
	f.StringVarP(&o.User, "user", "u", "root", "user name")
	f.StringVarP(&o.Password, "password", "p", "", "password")
	f.StringVarP(&o.DB, "database", "D", "", "database to use")
	f.BoolVarP(&o.Batch, "batch", "B", false, "print rows as values with tabs between them")
	f.BoolVarP(&o.Raw, "raw", "r", false, "with --batch, print values as they are, without escapes")
	f.BoolVarP(&o.NoNames, "skip-column-names", "N", false, "with --batch, leave out the names of columns")
	f.BoolVarP(&o.Force, "force", "f", false, "go on after statements that fail")
	return cmd
}
