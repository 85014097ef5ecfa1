import CWire
import Model

#if canImport(Glibc)
    import Glibc
#endif

/// Owns what a protobuf-c message points to while it is packed.
final class CArena {
    private var owned: [UnsafeMutableRawPointer] = []

    deinit { for pointer in owned { free(pointer) } }

    /// A message with all fields at their defaults.
    func make<Message>(_ initialise: (UnsafeMutablePointer<Message>?) -> Void) -> UnsafeMutablePointer<Message> {
        let message = room(MemoryLayout<Message>.stride).bindMemory(to: Message.self, capacity: 1)
        initialise(message)
        return message
    }

    /// Ends at the first NUL: protobuf-c has no length for strings.
    func string(_ text: String) -> UnsafeMutablePointer<CChar>? {
        guard let copy = strdup(text) else { preconditionFailure("the process is out of memory") }
        owned.append(copy)
        return copy
    }

    func strings(_ texts: [String]) -> UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? {
        array(texts.map { string($0) })
    }

    func array<Element: BitwiseCopyable>(_ values: [Element]) -> UnsafeMutablePointer<Element>? {
        guard !values.isEmpty else { return nil }
        let copy = room(values.count * MemoryLayout<Element>.stride).bindMemory(
            to: Element.self, capacity: values.count)
        copy.initialize(from: values, count: values.count)
        return copy
    }

    /// Sixteen octets, or four.
    func bytes(_ address: IPAddress, isWide: Bool = true) -> ProtobufCBinaryData {
        let length = isWide ? 16 : 4
        let copy = room(length)
        if isWide {
            copy.storeBytes(of: address.high.bigEndian, as: UInt64.self)
            copy.storeBytes(of: address.low.bigEndian, toByteOffset: 8, as: UInt64.self)
        } else {
            copy.storeBytes(of: address.v4.bigEndian, as: UInt32.self)
        }
        return ProtobufCBinaryData(len: length, data: copy.bindMemory(to: UInt8.self, capacity: length))
    }

    private func room(_ count: Int) -> UnsafeMutableRawPointer {
        guard let pointer = calloc(1, max(count, 1)) else {
            preconditionFailure("the process is out of memory")
        }
        owned.append(pointer)
        return pointer
    }
}

/// The bytes of a protobuf-c message, by its generated `get_packed_size` and `pack`.
func packed<Message>(
    _ message: UnsafeMutablePointer<Message>, size: (UnsafePointer<Message>?) -> Int,
    pack: (UnsafePointer<Message>?, UnsafeMutablePointer<UInt8>?) -> Int
) -> [UInt8] {
    let count = size(message)
    return [UInt8](unsafeUninitializedCapacity: max(count, 1)) { buffer, written in
        written = pack(message, buffer.baseAddress)
    }
}

/// Calls a generated `unpack`; nil when the bytes are no such message. The result must be given to `free_unpacked`.
func unpacked<Message>(
    _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>,
    _ unpack: (UnsafeMutablePointer<ProtobufCAllocator>?, Int, UnsafePointer<UInt8>?) -> UnsafeMutablePointer<Message>?
) -> UnsafeMutablePointer<Message>? {
    var nothing: UInt8 = 0
    if range.isEmpty { return unpack(nil, 0, &nothing) }
    return bytes[range].withMemoryRebound(to: UInt8.self) { unpack(nil, $0.count, $0.baseAddress) }
}

/// The text of a C string field; repaired where it is no UTF-8.
func text(_ field: UnsafeMutablePointer<CChar>?) -> String {
    guard let field else { return "" }
    return String(cString: field)
}

func texts(_ count: Int, _ field: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> [String] {
    UnsafeBufferPointer(start: field, count: field == nil ? 0 : count).map { text($0) }
}
