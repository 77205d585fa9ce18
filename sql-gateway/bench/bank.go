package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
)

// Bank moves money between two accounts a transaction, and checks that none is made or lost: in the end, and now and then
// by a query that sees all accounts at one moment.
type Bank struct{ Accounts int64 }

var _ Workload = Bank{}

const (
	accountStart = 1000 // what each account begins with
	auditEvery   = 500  // operations of a client
)

// Prepare implements Workload. The accounts begin anew each time.
func (b Bank) Prepare(ctx context.Context, db *sql.DB) error {
	if b.Accounts < 2 {
		return errors.New("a bank needs two accounts")
	}
	if err := run(ctx, db, "CREATE DATABASE IF NOT EXISTS "+Database, "DROP TABLE IF EXISTS "+Database+".bank",
		"CREATE TABLE "+Database+".bank (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)"); err != nil {
		return err
	}
	return fill(ctx, db, Database+".bank", b.Accounts, func(id int64) string { return fmt.Sprintf("(%d,%d)", id, accountStart) })
}

// Client implements Workload.
func (b Bank) Client(ctx context.Context, conn *sql.Conn) (Client, error) {
	c := &bankClient{bank: b, conn: conn}
	for _, p := range []struct {
		into **sql.Stmt
		text string
	}{
		{&c.lock, "SELECT balance FROM " + Database + ".bank WHERE id = ? FOR UPDATE"},
		{&c.add, "UPDATE " + Database + ".bank SET balance = balance + ? WHERE id = ?"},
	} {
		var err error
		if *p.into, err = conn.PrepareContext(ctx, p.text); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// Check implements Workload.
func (b Bank) Check(ctx context.Context, db *sql.DB) error {
	return b.audit(db.QueryRowContext(ctx, auditQuery))
}

const auditQuery = "SELECT COUNT(*), SUM(balance), MIN(balance) FROM " + Database + ".bank"

func (b Bank) audit(row *sql.Row) error {
	var accounts, total, least int64
	if err := row.Scan(&accounts, &total, &least); err != nil {
		return err
	}
	if accounts != b.Accounts || total != accounts*accountStart || least < 0 {
		return fmt.Errorf("%w: %d accounts hold %d, the poorest %d, instead of %d holding %d", ErrWrong, accounts, total, least,
			b.Accounts, b.Accounts*accountStart)
	}
	return nil
}

type bankClient struct {
	bank      Bank
	conn      *sql.Conn
	lock, add *sql.Stmt
	done      int
}

// Do moves money once.
func (c *bankClient) Do(ctx context.Context, r *rand.Rand) error {
	if c.done++; c.done%auditEvery == 0 {
		if err := c.bank.audit(c.conn.QueryRowContext(ctx, auditQuery)); err != nil {
			return err
		}
	}
	// By hand: database/sql prepares statements anew for each of its transactions.
	if _, err := c.conn.ExecContext(ctx, "BEGIN"); err != nil {
		return err
	}
	if err := c.transfer(ctx, r); err != nil {
		_, undo := c.conn.ExecContext(ctx, "ROLLBACK")
		return errors.Join(err, undo)
	}
	_, err := c.conn.ExecContext(ctx, "COMMIT")
	return err
}

func (c *bankClient) transfer(ctx context.Context, r *rand.Rand) error {
	from := r.Int64N(c.bank.Accounts)
	to := (from + 1 + r.Int64N(c.bank.Accounts-1)) % c.bank.Accounts
	var balance int64
	if err := c.lock.QueryRowContext(ctx, from).Scan(&balance); err != nil {
		return err
	}
	amount := min(balance, 1+r.Int64N(100))
	if _, err := c.add.ExecContext(ctx, -amount, from); err != nil {
		return err
	}
	_, err := c.add.ExecContext(ctx, amount, to)
	return err
}

func (c *bankClient) Close() error {
	var errs []error
	for _, s := range []*sql.Stmt{c.lock, c.add} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}
