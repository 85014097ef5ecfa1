// Comparing these happens many times a packet. What the compiler makes for a raw-value enumeration of another module is
// a call through a witness table; these are one instruction. Each type has between 2 and 256 cases, so one byte.

extension PacketDirection {
    @inlinable @inline(__always)
    public static func == (left: PacketDirection, right: PacketDirection) -> Bool {
        unsafeBitCast(left, to: UInt8.self) == unsafeBitCast(right, to: UInt8.self)
    }

    @inlinable @inline(__always)
    public static func != (left: PacketDirection, right: PacketDirection) -> Bool { !(left == right) }
}

extension L4Protocol {
    @inlinable @inline(__always)
    public static func == (left: L4Protocol, right: L4Protocol) -> Bool {
        unsafeBitCast(left, to: UInt8.self) == unsafeBitCast(right, to: UInt8.self)
    }

    @inlinable @inline(__always)
    public static func != (left: L4Protocol, right: L4Protocol) -> Bool { !(left == right) }
}

extension TapSide {
    @inlinable @inline(__always)
    public static func == (left: TapSide, right: TapSide) -> Bool {
        unsafeBitCast(left, to: UInt8.self) == unsafeBitCast(right, to: UInt8.self)
    }

    @inlinable @inline(__always)
    public static func != (left: TapSide, right: TapSide) -> Bool { !(left == right) }
}

extension CloseType {
    @inlinable @inline(__always)
    public static func == (left: CloseType, right: CloseType) -> Bool {
        unsafeBitCast(left, to: UInt8.self) == unsafeBitCast(right, to: UInt8.self)
    }

    @inlinable @inline(__always)
    public static func != (left: CloseType, right: CloseType) -> Bool { !(left == right) }
}

extension L7ResponseStatus {
    @inlinable @inline(__always)
    public static func == (left: L7ResponseStatus, right: L7ResponseStatus) -> Bool {
        unsafeBitCast(left, to: UInt8.self) == unsafeBitCast(right, to: UInt8.self)
    }

    @inlinable @inline(__always)
    public static func != (left: L7ResponseStatus, right: L7ResponseStatus) -> Bool { !(left == right) }
}

extension LogMessageType {
    @inlinable @inline(__always)
    public static func == (left: LogMessageType, right: LogMessageType) -> Bool {
        unsafeBitCast(left, to: UInt8.self) == unsafeBitCast(right, to: UInt8.self)
    }

    @inlinable @inline(__always)
    public static func != (left: LogMessageType, right: LogMessageType) -> Bool { !(left == right) }
}

extension L7Protocol {
    @inlinable @inline(__always)
    public static func == (left: L7Protocol, right: L7Protocol) -> Bool {
        unsafeBitCast(left, to: UInt8.self) == unsafeBitCast(right, to: UInt8.self)
    }

    @inlinable @inline(__always)
    public static func != (left: L7Protocol, right: L7Protocol) -> Bool { !(left == right) }
}
