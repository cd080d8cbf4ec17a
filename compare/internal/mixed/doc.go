// Package mixed runs clusters whose members are of this library and of
// go.etcd.io/raft/v3, with faults, and checks what Raft promises. Messages cross as
// encoded bytes, as they would between programs. One seed decides everything: a run
// that fails is repeated by its seed.
package mixed
