package console

import (
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"

	"github.com/go-sql-driver/mysql"

	"github.com/scree-db/scree/sql-gateway/insight"
)

// Server is the gateway behind the page.
type Server interface {
	// Connect makes a connection of MySQL's protocol. What a quiet one runs does not count as work of clients.
	Connect(quiet bool) (conn net.Conn, id uint64)
	// Kill ends the statement that a connection runs.
	Kill(id uint64)
	// Load is what was executed so far, and the connections that there are and that run a statement.
	Load() (done insight.Load, connected, running int)
}

// Options configure a Console.
type Options struct {
	Server Server
	// Hosts are the names, beside addresses and localhost, that the page may be reached by.
	Hosts  []string
	Logger *slog.Logger // nil: discard
}

// Console serves the page. Close ends what it does in the background.
type Console struct {
	guard
	server  Server
	log     *slog.Logger
	history *history
	mux     *http.ServeMux
}

//go:embed web
var files embed.FS

// New makes a console.
func New(o Options) (*Console, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	web, err := fs.Sub(files, "web")
	if err != nil {
		return nil, err
	}
	c := &Console{guard: newGuard(o.Hosts), server: o.Server, log: o.Logger, history: newHistory(o.Server), mux: http.NewServeMux()}
	c.mux.Handle("GET /", http.FileServerFS(web))
	c.mux.HandleFunc("GET /api/load", c.load)
	c.mux.HandleFunc("GET /api/{view}", c.view)
	c.mux.HandleFunc("POST /api/query", c.query)
	c.mux.HandleFunc("POST /api/kill", c.kill)
	return c, nil
}

// Close ends what goes on in the background.
func (c *Console) Close() { c.history.close() }

// ServeHTTP implements http.Handler.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if status, reason := c.refuses(r); reason != "" {
		http.Error(w, reason, status)
		return
	}
	setHeaders(w.Header())
	c.mux.ServeHTTP(w, r)
}

func (c *Console) load(w http.ResponseWriter, r *http.Request) {
	ses, err := c.open(r, "", true) // whoever may see it may log in
	if err != nil {
		c.fail(w, err)
		return
	}
	ses.close()
	c.reply(w, http.StatusOK, c.history.points())
}

// reply sends a document.
func (c *Console) reply(w http.ResponseWriter, status int, doc any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(doc); err != nil {
		c.log.Debug("console: the answer did not get through", "err", err)
	}
}

// problem is what an error looks like.
type problem struct {
	Code    uint16 `json:"code,omitempty"`
	State   string `json:"state,omitempty"`
	Message string `json:"message"`
}

// errBadRequest is in the chain of errors about what is asked, not of what came of it.
var errBadRequest = errors.New("bad request")

// fail sends an error. One of log-in asks the browser for user and password.
func (c *Console) fail(w http.ResponseWriter, err error) {
	var known *mysql.MySQLError
	switch {
	case errors.As(err, &known) && known.Number == accessDenied:
		w.Header().Set("WWW-Authenticate", `Basic realm="Scree, as a MySQL user", charset="UTF-8"`)
		c.reply(w, http.StatusUnauthorized, problem{Code: known.Number, Message: known.Message})
	case errors.As(err, &known):
		c.reply(w, http.StatusUnprocessableEntity, problem{known.Number, string(known.SQLState[:]), known.Message})
	case errors.Is(err, errBadRequest):
		c.reply(w, http.StatusBadRequest, problem{Message: err.Error()})
	default:
		c.reply(w, http.StatusInternalServerError, problem{Message: err.Error()})
	}
}

// accessDenied is MySQL's error of a log-in that failed.
const accessDenied = 1045
