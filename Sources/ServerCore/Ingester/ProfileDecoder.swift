import Model
import Synchronization
import Wire

/// Profiles to rows of `profile.in_process`. One a thread. Source: ingester.md 6.5.
///
/// Stacks that the agent counted, and pprof of external profilers; other formats are counted as dropped.
final class ProfileDecoder {
    private static let chunk = 1024
    /// Of one profile.
    private static let inflateLimit = 32 << 20
    /// Longer waits off the processor are told second by second, so many at most.
    private static let maxSplits = 4000
    private static let splitUs: Int64 = 1_000_000
    /// Runs on over all decoders.
    private static let counter = Atomic<UInt32>(0)

    private let tally: IngesterTally
    private let platform: () -> PlatformData
    private let wallUs: () -> UInt64
    private let emit: (RowBatch) -> Void
    private var inflater = PayloadInflater(limit: ProfileDecoder.inflateLimit)
    private var rows: [ProfileRow] = []
    private var counts = IngesterCounters.Decoder()

    init(
        tally: IngesterTally, platform: @escaping () -> PlatformData,
        wallUs: @escaping () -> UInt64 = { wallClockNs() / 1000 }, emit: @escaping (RowBatch) -> Void
    ) {
        self.tally = tally
        self.platform = platform
        self.wallUs = wallUs
        self.emit = emit
    }

    func take(payload: [UInt8], agentID: UInt16, teamID: UInt16) {
        counts = IngesterCounters.Decoder()
        counts.payloads = 1
        let platform = self.platform()
        let now = wallUs()
        let batch = ProfileRecord.decodeAll(payload.span.bytes)
        counts.errors = UInt64(batch.errors)
        for record in batch.records {
            counts.records += 1
            guard let data = body(of: record) else {
                counts.errors += 1
                continue
            }
            var row = row(of: record, agentID, platform)
            row.receivedUs = now
            row.agentID = agentID
            row.teamID = teamID
            let isForm = record.contentType.contains("multipart/form-data")
            switch record.format {
            case "pprof": addProfile(isForm ? ProfileDecoder.formPart(data, record.contentType) : data, record, row)
            case "" where isForm: addProfile(ProfileDecoder.formPart(data, record.contentType), record, row)
            case "": addStack(data, record, row)
            default: counts.dropped += 1
            }
        }
        handOn()
        tally.add { [counts] in $0.profile.add(counts) }
    }

    private func body(of record: ProfileRecord) -> [UInt8]? {
        guard record.isDataCompressed else { return record.data }
        return try? inflater.inflate(record.data, .zstd)
    }

    private func row(of record: ProfileRecord, _ agentID: UInt16, _ platform: PlatformData) -> ProfileRow {
        var row = ProfileRow()
        let gpid = record.pid == 0 ? 0 : platform.processID(agent: agentID, pid: record.pid) ?? 0
        let sender: (IPAddress, Bool)? =
            switch record.ip.count {
            case 4: (IPAddress(v4: record.ip.reduce(0) { $0 << 8 | UInt32($1) }), false)
            case 16: IPAddress(octets: record.ip).map { ($0, true) }
            default: nil
            }
        row.side = AutoTagging(platform: platform).tagProfile(
            podID: record.podID, gpid: gpid, sender: sender, agentID: agentID)
        row.processID = record.pid
        row.processStart = record.startTime
        row.unit = record.units
        return row
    }

    // MARK: Stacks that the agent counted

    private static let eventNames: [Int32: String] = [
        1: "on-cpu", 2: "off-cpu", 3: "mem-alloc", 4: "mem-inuse", 5: "hbm-alloc", 6: "hbm-inuse",
    ]

    private func addStack(_ data: [UInt8], _ record: ProfileRecord, _ start: ProfileRow) {
        var row = start
        row.appService = String(decoding: record.processName.utf8.prefix { $0 != 0 }, as: UTF8.self)
        if row.appService.isEmpty { row.appService = ProfileDecoder.emptyName() }
        row.stack = String(decoding: data, as: UTF8.self)
        row.unit = "microseconds"
        row.language = "eBPF"
        row.eventType = ProfileDecoder.eventNames[record.eventType] ?? "third-party"
        row.createdUs = record.timestampNs / 1000
        row.value = Int64(clamping: record.wideCount != 0 ? record.wideCount : UInt64(record.count))
        guard record.eventType == 2, row.value > Self.splitUs else { return put(row) }
        // Second by second back from the end; the earliest has the rest.
        var left = row.value
        for _ in 0..<Self.maxSplits where left > 0 {
            row.value = min(left, Self.splitUs)
            left -= row.value
            put(row)
            row.createdUs = row.createdUs >= 1_000_000 ? row.createdUs - 1_000_000 : 0
        }
    }

    // MARK: External profiles

    private static let languages: [String: String] = [
        "gospy": "Golang", "javaspy": "Java", "pyspy": "python", "rbspy": "ruby", "phpspy": "PHP",
        "dotnetspy": "dotnet", "nodespy": "Node",
    ]
    /// Kinds of values that profilers of Go send, by the names that they are shown under.
    private static let kinds: [String: String] = [
        "samples": "cpu", "inuse_objects": "inuse_objects", "alloc_objects": "alloc_objects",
        "inuse_space": "inuse_space", "alloc_space": "alloc_space", "goroutine": "goroutines",
        "contentions": "mutex_count", "delay": "mutex_duration",
    ]

    private func addProfile(_ data: [UInt8]?, _ record: ProfileRecord, _ start: ProfileRow) {
        var plain = data
        if let data, data.starts(with: [0x1f, 0x8b]) { plain = try? inflater.inflate(data, .gzip) }
        guard let plain, let profile = try? StackProfile(pprof: plain) else {
            counts.errors += 1
            return
        }
        var row = start
        let name = ProfileKey(record.name)
        row.appService = name.service.isEmpty ? ProfileDecoder.emptyName() : name.service
        row.labels = name.labels
        row.language = Self.languages[record.spyName] ?? ""
        row.createdUs = UInt64(record.from) * 1_000_000
        let hasKnown = profile.kinds.contains { Self.kinds[$0.name] != nil }
        for (index, kind) in profile.kinds.enumerated() {
            guard let shown = Self.kinds[kind.name] ?? (hasKnown ? nil : kind.name) else { continue }
            row.eventType = shown
            row.unit = record.units.isEmpty ? kind.unit : record.units
            for sample in profile.samples where index < sample.values.count && sample.values[index] != 0 {
                row.stack = sample.stack
                row.value = sample.values[index]
                put(row)
            }
        }
    }

    /// The part named `profile` of a form; nil when there is none.
    static func formPart(_ body: [UInt8], _ contentType: String) -> [UInt8]? {
        guard
            let mark = contentType.split(separator: ";").map({ $0.drop { $0 == " " } }).first(where: {
                $0.hasPrefix("boundary=")
            })
        else { return nil }
        let boundary = Array(("--" + mark.dropFirst("boundary=".count).filter { $0 != "\"" }).utf8)
        var at = body.startIndex
        while let start = find(boundary, in: body, from: at) {
            let head = start + boundary.count
            guard let blank = find([13, 10, 13, 10], in: body, from: head),
                let end = find([13, 10] + boundary, in: body, from: blank + 2)
            else { return nil }
            let fields = String(decoding: body[head..<blank], as: UTF8.self)
            if fields.contains("name=\"profile\"") || fields.contains("name=profile") {
                return blank + 4 <= end ? Array(body[(blank + 4)..<end]) : []
            }
            at = end + 2
        }
        return nil
    }

    private static func find(_ wanted: [UInt8], in body: [UInt8], from start: Int) -> Int? {
        guard let first = wanted.first, body.count >= wanted.count else { return nil }
        var at = start
        while at <= body.count - wanted.count {
            guard let next = body[at...(body.count - wanted.count)].firstIndex(of: first) else { return nil }
            if body[next..<next + wanted.count].elementsEqual(wanted) { return next }
            at = next + 1
        }
        return nil
    }

    private static func emptyName() -> String {
        let digits = String(UInt32.random(in: 0...UInt32.max), radix: 16)
        return "profile-empty-service-" + String(repeating: "0", count: 8 - digits.count) + digits
    }

    // MARK: Rows

    private func put(_ row: ProfileRow) {
        var row = row
        let number = Self.counter.wrappingAdd(1, ordering: .relaxed).newValue
        row.id =
            (row.seconds & 0xffff_ffff) << 32 | UInt64(row.agentID & 0x3fff) << 18 | UInt64(number & 0x3_ffff)
        rows.append(row)
        if rows.count >= Self.chunk { handOn() }
    }

    private func handOn() {
        guard !rows.isEmpty else { return }
        counts.rows += UInt64(rows.count)
        emit(RowBatch(Catalogue.inProcess, .profiles(rows)))
        rows = []
    }
}

/// `service{key=value,...}`, percent-encoded. Source: ingester.md 6.5.
struct ProfileKey {
    private(set) var service: String
    private(set) var labels: [(name: String, value: String)] = []

    init(_ encoded: String) {
        let text = ProfileKey.decoded(encoded)
        guard let brace = text.firstIndex(of: "{") else {
            service = text
            return
        }
        service = String(text[..<brace])
        let inner = text[text.index(after: brace)...].prefix { $0 != "}" }
        for pair in inner.split(separator: ",") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { continue }
            labels.append((ProfileKey.trimmed(parts[0]), ProfileKey.trimmed(parts[1])))
        }
    }

    private static func trimmed(_ text: Substring) -> String {
        var text = text.drop { $0 == " " }
        while text.last == " " { text.removeLast() }
        return String(text)
    }

    /// A sequence that is none stays as it is.
    private static func decoded(_ text: String) -> String {
        let bytes = Array(text.utf8)
        var out: [UInt8] = []
        var at = 0
        while at < bytes.count {
            if bytes[at] == UInt8(ascii: "%"), at + 2 < bytes.count,
                let octet = UInt8(String(decoding: bytes[at + 1...at + 2], as: UTF8.self), radix: 16)
            {
                out.append(octet)
                at += 3
            } else {
                out.append(bytes[at] == UInt8(ascii: "+") ? 32 : bytes[at])
                at += 1
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
