import Capture
import Model

/// Deals the frames of a replay out to several flow tables: all packets of a flow, in both directions, to the same one.
///
/// The kernel's fanout does this for live packets. Here the hash is that of the flow table, made of what is inside
/// tunnels, so a flow is whole wherever the kernel would have put it. Source: agent-flow.md 5.1.
struct FlowSplitter: ~Copyable {
    private let lanes: UInt64
    private let decapsulator: Decapsulator
    private let packet: UnsafeMutablePointer<MetaPacket>

    init(lanes: Int, decapsulator: Decapsulator) {
        self.lanes = UInt64(lanes)
        self.decapsulator = decapsulator
        packet = .allocate(capacity: 1)
        packet.initialize(to: MetaPacket())
    }

    deinit { packet.deallocate() }

    /// Where a frame belongs; 0 for one that cannot be read.
    func lane(of frame: CaptureFrame) -> Int {
        guard let link = LinkType(fileNumber: frame.link) else { return 0 }
        packet.initialize(to: MetaPacket())
        let span = RawSpan(_unsafeBytes: frame.bytes)
        let isParsed =
            link == .ethernet
            ? PacketParser.parse(span, through: decapsulator, originalLength: 0, into: &packet.pointee)
            : PacketParser.parse(span, link: link, originalLength: 0, into: &packet.pointee)
        guard isParsed else { return 0 }
        // The flow table takes the low bits of the same hash.
        return Int(UInt64(FlowMap.hash(packet)) &* lanes >> 32)
    }
}
