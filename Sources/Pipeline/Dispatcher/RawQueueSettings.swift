/// A dispatcher in two threads: one reads, one looks into what was read. Source: agent-flow.md 3, 5.1.
package struct RawQueueSettings: Sendable, Equatable {
    /// `inputs.cbpf.tunning.dispatcher_queue_enabled`.
    package var isEnabled = false
    /// `raw_packet_queue_size`: packets between the two.
    package var packets = 131_072
    /// `raw_packet_buffer_block_size`: bytes that are copied as one block; never less than the longest packet.
    package var blockBytes = 65_536

    package init() {}
}
