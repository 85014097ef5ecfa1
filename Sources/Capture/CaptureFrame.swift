/// One captured frame: its bytes, where and when it was captured, and how it is framed.
package struct CaptureFrame: BitwiseCopyable {
    /// Nanoseconds since 1970.
    package var timeNs: UInt64 = 0
    /// What was captured, borrowed from ring or buffer: valid until the source is asked for frames again.
    package var bytes = UnsafeRawBufferPointer(start: nil, count: 0)
    package var wire: Int = 0
    /// Number of the link layer as in capture files; 1 = Ethernet.
    package var link: UInt16 = 1
    /// Index of the interface: of this host when live, of the file's interface list otherwise.
    package var interface: Int32 = 0

    package init() {}

    package var captured: Int { bytes.count }

    /// A switch's or host's announcement to its neighbours, with at most one tag.
    package var isLLDP: Bool {
        guard link == 1, bytes.count >= 18 else { return false }
        let at = bytes[12] == 0x81 && bytes[13] == 0 ? 16 : 12
        return bytes[at] == 0x88 && bytes[at + 1] == 0xcc
    }
}
