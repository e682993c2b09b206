// SPDX-License-Identifier: Apache-2.0
// Every bound of the system, each with its unit in its name and its reason above it.
// A queue, map, message or retry that is not bounded by a line of this file is a defect.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quorate::limits {

// Long enough for a path-like name, short enough that a key fits any index node or log line.
inline constexpr size_t kKeyBytesMax = 4 * 1024;
// Above this, store the value as a blob and keep its name here; one value must not stall a group.
inline constexpr size_t kValueBytesMax = 8 * 1024 * 1024;
// One value of the greatest size with its key, headers and encoding, twice over.
inline constexpr size_t kRequestBytesMax = 16 * 1024 * 1024;
// A batch is applied in one step; more than this would delay the neighbours by milliseconds.
inline constexpr size_t kBatchItemsMax = 10'000;
// Sockets per node; beyond it new connections are refused with an error, not left hanging.
inline constexpr size_t kConnectionsMax = 20'000;
// Of them, how many are looked at for their time-outs in one go: a twentieth of a millisecond.
inline constexpr size_t kConnectionsSweptAtOnce = 64;

// The greatest entry payload: a request and the node's own header.
inline constexpr size_t kEntryBytesMax = kRequestBytesMax + 64 * 1024;
// The leader closes an open batch at this size, so that one round stays near one sync's cost.
inline constexpr size_t kBatchBytesTarget = 1024 * 1024;
// One append message; larger runs are cut so that a slow follower gets acknowledgements in between.
inline constexpr size_t kAppendBytesMax = 1024 * 1024;
// Entries of one message between replicas: bounds what a small frame can make a decoder allocate.
inline constexpr size_t kAppendEntriesMax = 16'384;
// In flight to one follower before the leader waits for an acknowledgement.
inline constexpr size_t kInflightBytesMax = 8 * 1024 * 1024;
inline constexpr size_t kInflightMessagesMax = 256;
// Proposed and not yet committed in one group; beyond it proposals are refused.
inline constexpr size_t kUncommittedBytesMax = 64 * 1024 * 1024;
// Entries that are durable and applied and stay in memory for followers that lag a little, of all
// groups of a node together; older ones are read back from the log. Some tenths of a second of
// writes: memory that is used again soon stays in the processor's caches.
inline constexpr size_t kEntryCacheBytesMax = 16 * 1024 * 1024;
// One frame between nodes: the greatest entry and its headers.
inline constexpr size_t kFrameBytesMax = kEntryBytesMax + 64 * 1024;
// A frame is sent off when its items reach this, in the middle of a turn: where thousands of groups
// have something to say, the receiver works on the first of them while the sender is at the others.
inline constexpr size_t kFrameBytesTarget = 256 * 1024;
// Requests of this node that other nodes have not answered; beyond it new ones are refused.
inline constexpr size_t kCallsMax = 131'072;
// Requests of one other node that this node has not answered; beyond it they are refused at once.
inline constexpr size_t kServedCallsMax = 65'536;
// Nodes of one cluster that this node keeps links to.
inline constexpr size_t kPeersMax = 1'024;
// Accepted connections that have not said who they are; a newer one waits in the kernel's queue.
inline constexpr size_t kGreetingLinksMax = 64;
// Queued towards one peer; beyond it messages are dropped, which Raft repairs.
inline constexpr size_t kPeerQueueBytesMax = 64 * 1024 * 1024;
// One snapshot chunk: resumable in small steps, and cheap to hold in memory.
inline constexpr size_t kSnapshotChunkBytes = 256 * 1024;
// Replicas of one group; larger sets add latency and no safety that people ask for.
inline constexpr size_t kReplicasMax = 9;
// Nodes of one cluster: each hosts the meta group, whose leader feeds all of them.
inline constexpr size_t kNodesMax = 256;
// Named objects of one cluster; all of them live in every node's memory.
inline constexpr size_t kCatalogueMax = 100'000;
// Users and tokens of one cluster, and what one of them may be granted.
inline constexpr size_t kPrincipalsMax = 10'000;
inline constexpr size_t kGrantsMax = 64;
// Names of objects, users and labels: a line of a log, a segment of a path.
inline constexpr size_t kNameBytesMax = 255;
// host:port, with a host name of the greatest length that DNS allows.
inline constexpr size_t kAddressBytesMax = 262;
// Options of a named object, in its service's own encoding.
inline constexpr size_t kObjectOptionsBytesMax = 64 * 1024;
// Partitions of one named object; more than groups would not spread it further.
inline constexpr size_t kPartitionsMax = 4'096;
// Groups of one cluster; the per-group state must stay below a kilobyte for this.
inline constexpr uint32_t kGroupsMax = 65'536;
// Sessions of one group that the dedup table remembers; the oldest idle one goes first.
inline constexpr size_t kSessionsMax = 100'000;
// Answers kept per session: how many commands one client may have in flight and still retry.
inline constexpr size_t kSessionAnswersMax = 64;
// An answer longer than this is not kept for a retry, which is then told so.
inline constexpr size_t kSessionAnswerBytesMax = 64 * 1024;
// All that one group keeps for retries; beyond it what would expire first goes first.
inline constexpr size_t kSessionBytesMax = 64 * 1024 * 1024;
// A session that lives shorter dies of a slow election; one that lives longer is a leak.
inline constexpr int64_t kSessionTtlMillisMin = 1'000;
inline constexpr int64_t kSessionTtlMillisMax = 24 * 3'600 * 1'000;
// Answers kept by idempotency key in one group, and for how long: a client's patience.
inline constexpr size_t kKeyedAnswersMax = 100'000;
inline constexpr int64_t kKeyedAnswerMillis = 10 * 60 * 1'000;
// Entries that one expiry command removes: well under a millisecond of apply time.
inline constexpr size_t kExpireItemsMax = 1'000;
// Longer than anyone's data lives; keeps the arithmetic of stamps far from its ends.
inline constexpr int64_t kTtlMillisMax = int64_t{100} * 366 * 86'400 * 1'000;
// Keyspaces of a cluster; the number is part of each key's encoding.
inline constexpr uint32_t kKeyspacesMax = 1'000'000;
// Keys, values and headers of one group's key-value machine: it must fit memory and a snapshot.
inline constexpr uint64_t kKvBytesMax = uint64_t{8} * 1024 * 1024 * 1024;
// A value from this size on is kept compressed, unless its keyspace says otherwise: a smaller one
// shrinks by less than the work is worth.
inline constexpr uint64_t kKvCompressAboveDefault = 1024;
// A greater value is kept as it is: to pack it would hold up the loop by a millisecond.
inline constexpr size_t kKvCompressBytesMax = 256 * 1024;
// The image of a hash, names and values: each change of a field writes it anew.
inline constexpr size_t kKvHashBytesMax = 1024 * 1024;
// A pattern for the names of its fields, which is held against each of them at every place.
inline constexpr size_t kKvHashPatternBytesMax = 256;
// Indexes of a keyspace: each write keeps all of them.
inline constexpr size_t kKvIndexesMax = 16;
// Of the path of a field, and of its value in the order of an index; a longer one is not indexed.
inline constexpr size_t kKvIndexPathBytesMax = 256;
inline constexpr size_t kKvIndexedBytesMax = 512;
// One page of a scan: what one answer may hold, and what one loop turn may spend on it.
inline constexpr size_t kScanItemsMax = 10'000;
inline constexpr size_t kScanBytesMax = 8 * 1024 * 1024;
// Changes of one group that a watcher may still resume from; memory, not state.
inline constexpr size_t kKvHistoryBytesMax = 4 * 1024 * 1024;
// Watches of one node's clients; each costs a few comparisons at every poll.
inline constexpr size_t kWatchesMax = 10'000;
// The name of a lock: a path, and short enough that a cycle of several is still a readable message.
inline constexpr size_t kLockNameBytesMax = 1'024;
// Locks of one acquire; each is looked at again whenever one of them becomes free.
inline constexpr size_t kLockItemsMax = 64;
// Owners, and locks held, of one group: all of them live in the memory of each replica.
inline constexpr size_t kLockOwnersMax = 1'000'000;
inline constexpr size_t kLockHoldsMax = 1'000'000;
// Locks of one owner: what its end gives back in one step.
inline constexpr size_t kLockOwnerHoldsMax = 10'000;
// Who waits for one lock: what one release may grant, and what the search for a deadlock looks at.
inline constexpr size_t kLockWaitersMax = 4'096;
// Owners of one heartbeat: a node's clients come in one message, and it is taken in at one go.
inline constexpr size_t kLockHeartbeatOwnersMax = 10'000;
// Owners and edges that one search for a deadlock through several groups looks at. A knot that is
// larger is left to the time-outs of its waits, and counted.
inline constexpr size_t kLockGraphOwnersMax = 4'096;
inline constexpr size_t kLockGraphEdgesMax = 65'536;
// Of the cycle that a victim is told.
inline constexpr size_t kLockCycleBytesMax = 4'096;
// Permits of one semaphore.
inline constexpr uint64_t kLockPermitsMax = 1'000'000'000;
// Holders and waiters that one answer shows; the counts beside them are whole.
inline constexpr size_t kLockShownMax = 1'000;
// Requests that wait at one node for a leader or a read permit.
inline constexpr size_t kPendingRequestsMax = 262'144;

// Request line and headers of one HTTP request; cookies and tokens fit, an attack does not.
inline constexpr size_t kHttpHeaderBytesMax = 16 * 1024;
// Answers that wait for a slow reader of one connection before it gets no further ones made.
inline constexpr size_t kHttpOutputBytesMax = 1024 * 1024;
// Events queued for one slow reader of a stream; beyond it the stream ends and can be resumed.
inline constexpr size_t kHttpStreamBytesMax = 4 * 1024 * 1024;
// A command of the Redis protocol that a person types, or a number with its sign: as Redis has it.
inline constexpr size_t kRespInlineBytesMax = 64 * 1024;
// Arguments of one command of the Redis protocol: as Redis has it.
inline constexpr int64_t kRespArgumentsMax = 1024 * 1024;
// Answers that wait for a slow reader of one connection before no further commands are taken.
inline constexpr size_t kRespOutputBytesMax = 1024 * 1024;
// Commands of one connection that are under way at once; the next wait in its input.
inline constexpr size_t kRespInFlightMax = 4'096;
// Commands that one MULTI may gather, and their bytes; one entry of the log has to hold them.
inline constexpr size_t kRespQueuedMax = 10'000;
inline constexpr size_t kRespQueuedBytesMax = 8 * 1024 * 1024;
// Places of SCANs that a node remembers for all its clients; each holds a key.
inline constexpr size_t kRespCursorsMax = 4'096;
// The answer to one KEYS; who has more goes through them with SCAN.
inline constexpr size_t kRespKeysBytesMax = 64 * 1024 * 1024;
// Keys that one connection may WATCH at once.
inline constexpr size_t kRespWatchedMax = 1'024;

// Bodies of answers that are compressed for who takes that: a shorter one fits a packet anyway, a
// longer one would hold up the loop by milliseconds.
inline constexpr size_t kHttpCompressBytesMin = 1024;
inline constexpr size_t kHttpCompressBytesMax = 256 * 1024;

// Nesting of a JSON request; ours need three.
inline constexpr size_t kJsonDepthMax = 32;

// One file of the write-ahead log; recovery holds one of them in memory, and offsets are 32 bits.
inline constexpr uint64_t kWalSegmentBytesMax = 1024ull * 1024 * 1024;
// One batch of the log: it moves at the disk's full speed, and a longer one would only delay the
// first of its callbacks.
inline constexpr uint64_t kWalBatchBytesMax = 16 * 1024 * 1024;
// What the log adds to one flush to give up old segments, so that no flush becomes a long one.
inline constexpr uint64_t kWalUpkeepBytesMax = 256 * 1024;

// What an owner puts in front of a snapshot's body: a configuration and a few stamps.
inline constexpr size_t kSnapshotHeaderBytesMax = 1024 * 1024;

}  // namespace quorate::limits
