// Package rafthttp carries the messages of a raft.Node between the members of
// a cluster, over connections that begin as HTTP.
//
// # Use
//
//	t, err := rafthttp.New(rafthttp.Config{ID: 1, ClusterID: 7, Raft: member})
//	...
//	srv := &http.Server{Addr: ":2380", Handler: t.Handler(), ReadHeaderTimeout: 5 * time.Second}
//	go srv.ListenAndServe()
//	err = t.AddPeer(2, "http://two.example:2380")
//	...
//	t.Send(ready.Messages)
//	...
//	t.Stop()
//	srv.Close()
//
// Snapshots that are more than a message holds go through SendSnapshot, and come
// through a SnapshotSink.
//
// # The server
//
// The http.Server is the caller's. It must speak HTTP/1.1, as it does by default,
// and should set ReadHeaderTimeout, because the time until a handshake has arrived
// is the server's to limit; all other timeouts end with the handshake, where the
// Transport takes the connection over (it is hijacked, so that Server.Shutdown
// does not know of it, and Stop ends it). A handler in between must hand on
// http.Hijacker, or implement Unwrap. With TLS, Server.TLSConfig should have
// ClientAuth: tls.RequireAndVerifyClientCert; Config.TLS is for dialling. Use
// http.StripPrefix to serve the Handler below a path of the peer's URL.
//
// # Streams
//
// A connection carries one stream, in one direction, and is dialled by the
// sender. To each peer there are two that stand for good, and one for the time of
// a snapshot:
//
//	bulk      MsgApp and MsgProp
//	control   every other message: votes, heartbeats, acknowledgements, reads
//	snapshot  one MsgSnap and what belongs to it
//
// so that nothing urgent waits behind entries, and nothing at all behind
// a snapshot. Appends keep their order among each other, also empty ones; control
// messages may overtake them, which Raft allows. That the sender dials lets each
// member reach those it has a URL for, whoever came first, and gives every stream
// one owner, who alone connects it again: after a random time that doubles up to
// Config.BackoffMax, or at once when the peer itself is heard from.
//
// While there is no connection, messages are dropped rather than kept: Raft sends
// again what still matters, and what is stale would be in its way. Whenever
// messages may have been lost, Raft.ReportUnreachable is called, and for snapshots
// Raft.ReportSnapshot; neither is ever called from within Send.
//
// # Handshake
//
// The sender asks, and waits for the answer before it sends more:
//
//	GET <base path>/raft/v1/stream HTTP/1.1
//	Connection: Upgrade
//	Upgrade: raft-stream
//	Raft-Version: 1        of this protocol
//	Raft-Cluster: 7        ids are decimal
//	Raft-From: 1
//	Raft-To: 2
//	Raft-Stream: control   or bulk, snapshot
//	Raft-Url: ...          where the sender is reached, if Config.AdvertiseURL is set
//
// The answer is 101 with Upgrade, Raft-Version, Raft-Cluster, and Raft-From and
// Raft-To of its own point of view, which the sender checks in turn. Any other
// answer refuses: its header Raft-Refused holds the Reason, its body a sentence.
// The version is looked at first and alone, because a later version may give the
// other headers another meaning. With TLS, certificates and Config.VerifyPeer are
// checked on both sides. A second connection for the same stream ends the first,
// which must be dead: its sender has only one.
//
// # Frames
//
// After the handshake HTTP is over, because an HTTP/1.1 connection that carries
// a request and its answer at the same time, each without end, is at the mercy of
// whatever implements it; a plain connection has deadlines in both directions. The
// sender sends frames: a length as a varint, and as many bytes of payload,
// which is an encoded raftpb.Message. A frame of length 0 is a ping, sent every
// Config.PingInterval in both directions; a side that hears nothing for
// Config.IdleTimeout gives the connection up, so that a link that has gone silent
// is noticed even where nothing is sent. The receiver sends nothing else, but
// a last frame when it ends the connection for a reason: the Reason, a line feed
// and a sentence. A length over Config.MaxFrameSize, or what is no message, ends
// the connection. A message that is not from the sender, or not for the receiver,
// is refused, and the stream goes on; only MsgTransferLeader has another From,
// its target.
//
// A frame's memory is made as its bytes arrive, 64 KiB at a time, and each 64 KiB
// has Config.IdleTimeout to do so. A message that would be many times larger in
// memory than on the wire is refused before it is decoded.
//
// # Snapshots
//
// On a snapshot stream the first frame is the message and the second, a varint,
// says what follows: 0 nothing, 1 a body of unknown size, n+2 a body of n bytes.
// The body comes in frames of 64 KiB, of which the last may be shorter, and ends
// with an empty frame. The trailer is a frame with the body's size, 8 bytes
// big-endian, and the SHA-256 of everything before the empty frame but the lengths
// of the body's frames. The receiver, which sends pings meanwhile, has
// the body stored, hands the message to Raft, and sends the frame "accepted", or
// a Reason as above. Anything else is a failure, and Raft is told of either.
package rafthttp
