/// Where a frame was captured and how it is framed. The bytes travel beside it, borrowed from ring or buffer.
package struct CaptureFrame: BitwiseCopyable, Sendable {
    /// Nanoseconds since 1970.
    package var timeNs: UInt64 = 0
    package var captured: Int = 0
    package var wire: Int = 0
    /// Number of the link layer as in capture files; 1 = Ethernet.
    package var link: UInt16 = 1
    /// Index of the interface: of this host when live, of the file's interface list otherwise.
    package var interface: Int32 = 0

    package init() {}
}

/// What the next frame of a source is.
package enum CaptureRead: Sendable {
    case frame
    /// Nothing now (live); try again.
    case idle
    /// End of the capture.
    case end
}
