package import Capture
import Model

/// Turns captured frames into `MetaPacket`s and feeds them to its `FlowMap`. One a capture thread; not shared.
/// Source: agent-flow.md 4.2, 5.2.
package struct Dispatcher: ~Copyable {
    /// Module `dispatcher`, since the start.
    package struct Counters: Sendable {
        package var rx: UInt64 = 0
        package var rxBytes: UInt64 = 0
        package var invalidPackets: UInt64 = 0
        package var unknownLinks: UInt64 = 0
        /// More than a millisecond older than its interface's newest packet.
        package var retired: UInt64 = 0
        package var kernelPackets: UInt64 = 0
        package var kernelDrops: UInt64 = 0

        package init() {}
    }

    /// What is known of an interface that frames arrive on.
    private struct Origin: BitwiseCopyable {
        var macLow24: UInt32 = 0
        var macLow32: UInt32 = 0
        var newestNs: UInt64 = 0
        var isKnown = false
    }

    package var flowMap: FlowMap
    package private(set) var counters = Counters()
    /// Per interface index; grown when interfaces appear.
    private var origins: [Origin] = []
    private let isLive: Bool

    package init(flowMap: consuming FlowMap, isLive: Bool) {
        self.flowMap = flowMap
        self.isLive = isLive
    }

    /// The interfaces that frames may come from; others are dropped and counted invalid.
    package mutating func setInterfaces(_ interfaces: [NetworkInterface]) {
        for interface in interfaces where interface.index >= 0 && interface.index < 1 << 20 {
            let index = Int(interface.index)
            while origins.count <= index { origins.append(Origin()) }
            origins[index].macLow24 = UInt32(truncatingIfNeeded: interface.mac & 0xff_ffff)
            origins[index].macLow32 = UInt32(truncatingIfNeeded: interface.mac)
            origins[index].isKnown = true
        }
    }

    package mutating func noteKernel(packets: UInt64, drops: UInt64) {
        counters.kernelPackets = packets
        counters.kernelDrops = drops
    }

    /// Accounts one frame. `bytes` are borrowed for the call.
    /// - Parameter packet: holds the packet as it was parsed; any value before the call.
    /// - Returns: false when it was dropped before the flow table.
    @inline(__always)
    package mutating func handle(
        _ frame: borrowing CaptureFrame, _ bytes: UnsafeRawBufferPointer, into packet: inout MetaPacket
    ) -> Bool {
        counters.rx &+= 1
        counters.rxBytes &+= UInt64(frame.wire)
        guard let link = frame.link == 1 ? .ethernet : LinkType(fileNumber: frame.link) else {
            counters.unknownLinks &+= 1
            return false
        }
        let span = RawSpan(_unsafeBytes: bytes)
        packet = MetaPacket()
        packet.timeNs = frame.timeNs
        guard PacketParser.parse(span, link: link, originalLength: isLive ? frame.captured : 0, into: &packet) else {
            counters.invalidPackets &+= 1
            return false
        }
        if isLive {
            guard place(&packet, interface: Int(frame.interface)) else { return false }
        } else {
            packet.l2End0 = true
            packet.l2End1 = true
        }
        flowMap.inject(&packet, frame: span)
        return true
    }

    /// Observation facts of the interface, and time that does not step back on it.
    @inline(__always)
    private mutating func place(_ packet: inout MetaPacket, interface: Int) -> Bool {
        guard interface >= 0, interface < origins.count, origins[interface].isKnown else {
            counters.invalidPackets &+= 1
            return false
        }
        let newest = origins[interface].newestNs
        if packet.timeNs < newest {
            if packet.timeNs &+ 1_000_000 < newest {
                counters.retired &+= 1
                return false
            }
            packet.timeNs = newest
        } else {
            origins[interface].newestNs = packet.timeNs
        }
        if packet.macSrc == 0, packet.macDst == 0 {
            packet.l2End0 = true
            packet.l2End1 = true
        } else {
            let mac = origins[interface].macLow24
            packet.l2End0 = UInt32(truncatingIfNeeded: packet.macSrc & 0xff_ffff) == mac
            packet.l2End1 =
                !packet.l2End0
                && (UInt32(truncatingIfNeeded: packet.macDst & 0xff_ffff) == mac || packet.macDst >> 40 & 1 == 1)
        }
        packet.tapPort = UInt64(origins[interface].macLow32)
        return true
    }
}
