package txn

type lockWaits struct{}

func newLockWaits() *lockWaits { return &lockWaits{} }

func (m *Manager) wake(keys [][]byte)     {}
func (m *Manager) wakeLocked(p *prewrite) {}
