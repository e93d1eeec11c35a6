package broker

// For the tests: the pure parts, and the limit of the disk.
var (
	WindowStart = windowStart
	TrimOffset  = trimOffset
	Floors      = floors
	RepairTail  = repairTail
	NewFilter   = newFilter
	CompareTail = compareTail
)

// Segments makes segments of pairs of base and size.
func Segments(pairs ...int64) (list []segment) {
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, segment{pairs[i], pairs[i+1]})
	}
	return list
}

// SetDiskShare changes the share and measures. Only without Run.
func (b *Broker) SetDiskShare(share float64) {
	b.cfg.DiskShare = share
	b.measure()
}

// CheckDisk does the check that Run repeats while the disk is full. Use it only without Run.
func (b *Broker) CheckDisk() (stuck bool) { return b.checkDisk() }
