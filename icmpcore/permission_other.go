//go:build !linux

package icmpcore

func (e *PermissionError) lookAround() {}
