import Capture
import Model
import Samples
import Testing

@testable import Pipeline

/// Which interface a frame is of, and what switches have done to it. Source: agent-flow.md 5.2, 5.5.
struct FramePlaceTests {
    private static let seconds: UInt64 = 1_000_000_000

    private static func invalid(_ frames: [[UInt8]], from interface: Int32, known: [NetworkInterface]) -> UInt64 {
        var dispatcher = Dispatcher(
            settings: AgentPipeline.Settings(), number: 0, isLive: true, clockNs: 1000 * seconds)
        dispatcher.setInterfaces(known)
        for bytes in frames {
            bytes.withUnsafeBytes { raw in
                var frame = CaptureFrame()
                frame.bytes = raw
                frame.wire = raw.count
                frame.timeNs = 1000 * seconds
                frame.interface = interface
                withUnsafePointer(to: frame) { pointer in
                    dispatcher.prepare(UnsafeBufferPointer(start: pointer, count: 1))
                    _ = dispatcher.account(0, pointer.pointee)
                    dispatcher.endBatch()
                }
            }
        }
        #expect(dispatcher.counters.rx == UInt64(frames.count))
        return dispatcher.counters.invalidPackets
    }

    /// Announcements to neighbours alone may come from interfaces that are not known.
    @Test func announcementsOfUnknownInterfaces() {
        let body = [UInt8](repeating: 0, count: 40)
        let plain = SampleFrames.ethernet(0x88cc) + body
        let tagged = SampleFrames.ethernet(0x88cc, tags: [5]) + body
        let twice = SampleFrames.ethernet(0x88cc, tags: [5, 6]) + body
        let known = [NetworkInterface(name: "eth0", index: 4, mac: 1, isUp: true)]
        #expect(Self.invalid([plain, tagged], from: 9, known: known) == 0)
        #expect(Self.invalid([twice, SampleFrames.inner], from: 9, known: known) == 2)
        #expect(Self.invalid([plain], from: 9, known: []) == 1)
        #expect(Self.invalid([plain, SampleFrames.inner], from: 4, known: known) == 0)
    }

    /// Byte 0 of the source MAC marks the frame, byte 1 is the length of what is around it.
    @Test func markedTunnelsAreSkipped() {
        func inside(_ bytes: [UInt8], link: UInt16 = 1) -> [UInt8] {
            bytes.withUnsafeBytes { raw in
                var frame = CaptureFrame()
                frame.bytes = raw
                frame.link = link
                frame.skipMarkedTunnel()
                return Array(frame.bytes)
            }
        }
        var outer = SampleFrames.ethernet(0x0800) + [UInt8](repeating: 7, count: 36)
        #expect(inside(outer + SampleFrames.inner) == outer + SampleFrames.inner, "no mark")
        outer[6] = 0xff
        outer[7] = UInt8(outer.count)
        #expect(inside(outer + SampleFrames.inner) == SampleFrames.inner)
        #expect(inside(outer + SampleFrames.inner, link: 101).count == outer.count + SampleFrames.inner.count)
        outer[7] = 200
        #expect(inside(outer).count == outer.count, "longer than the frame")
    }
}
