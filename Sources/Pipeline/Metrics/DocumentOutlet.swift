import Model

/// The last step of documents: written in batches into one array, whose memory is used again unless the receiver
/// keeps it. Batches are small enough to stay in the first cache. One thread at a time.
final class DocumentOutlet {
    static var batchSize: Int { 32 }

    private let receive: ([Document]) -> Void
    private var batch: [Document] = []
    /// Empty documents, one of each kind of meter.
    private let templates: UnsafeMutablePointer<Document>

    init(_ receive: @escaping ([Document]) -> Void) {
        self.receive = receive
        templates = .allocate(capacity: 2)
        templates.initialize(repeating: Document(), count: 2)
        templates[1].meter = .app(AppMeter())
    }

    deinit {
        templates.deinitialize(count: 2)
        templates.deallocate()
    }

    /// - Parameters:
    ///   - areApps: the documents have app meters, else flow meters.
    ///   - write: fills documents of the numbers `first`..., at most `batchSize` at once; they are zero.
    @inline(__always)
    func send(
        _ count: Int, areApps: Bool = false, _ write: (_ first: Int, UnsafeMutableBufferPointer<Document>) -> Void
    ) {
        let template = UnsafeRawPointer(templates + (areApps ? 1 : 0))
        var first = 0
        while first < count {
            let length = min(Self.batchSize, count - first)
            batch.removeAll(keepingCapacity: true)
            if batch.capacity < Self.batchSize { batch.reserveCapacity(Self.batchSize) }
            batch.append(addingCapacity: length) { (output: inout OutputSpan<Document>) in
                output.withUnsafeMutableBufferPointer { buffer, filled in
                    guard let base = buffer.baseAddress else { return }
                    for index in 0..<length {
                        // The texts of a template are empty and own no memory, so its bytes may be copied.
                        UnsafeMutableRawPointer(base + index).copyMemory(
                            from: template, byteCount: MemoryLayout<Document>.size)
                    }
                    write(first, UnsafeMutableBufferPointer(start: base, count: length))
                    filled = length
                }
            }
            receive(batch)
            first += length
        }
    }

    /// The payload of a `Meter` in place. It lies at the start of the enum: no case has bits that another could use
    /// for its number (a test holds this). Going through `switch` would copy the meter twice.
    @inline(__always)
    static func flowMeter(of document: UnsafeMutablePointer<Document>) -> UnsafeMutablePointer<FlowMeter> {
        meter(of: document).assumingMemoryBound(to: FlowMeter.self)
    }

    @inline(__always)
    static func appMeter(of document: UnsafeMutablePointer<Document>) -> UnsafeMutablePointer<AppMeter> {
        meter(of: document).assumingMemoryBound(to: AppMeter.self)
    }

    @inline(__always)
    private static func meter(of document: UnsafeMutablePointer<Document>) -> UnsafeMutableRawPointer {
        UnsafeMutableRawPointer(document.pointer(to: \.meter).unsafelyUnwrapped)
    }
}
