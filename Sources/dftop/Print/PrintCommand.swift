import ArgumentParser
import Capture
import Model
import Pipeline

#if canImport(Glibc)
    import Glibc
#endif

/// `dftop print KIND`: records to stdout, for pipes and scripts. Source: design.md 2.1.
struct PrintCommand: ParsableCommand {
    enum Kind: String, CaseIterable, ExpressibleByArgument {
        case packets
        case flows
        case l7Messages = "l7-messages"
        case l7
        case metrics
    }

    static let configuration = CommandConfiguration(
        commandName: "print",
        abstract: "Print packets, flows, requests or metrics to stdout.",
        discussion: """
            KIND: packets; flows (1-minute L4 logs, with --interval 1s the per-second records); l7-messages (every parsed \
            message in packet order); l7 (joined requests); metrics (documents).

            With -r it ends at the end of the capture, after every open flow and session was flushed; live it runs until \
            interrupted, or as long as --duration says.
            """)

    @Argument(help: ArgumentHelp("What to print.", valueName: "kind"))
    var kind: Kind

    @OptionGroup var capture: CaptureOptions

    @Option(
        name: .shortAndLong,
        help: "json (one object a line), csv or table; default table on a terminal, json otherwise.")
    var output: OutputFormat = .standard

    @Option(
        help: ArgumentHelp("Print only rows that match, e.g. 'proto:http status:>=500 rrt:>100ms'.", valueName: "expr"))
    var filter: String?

    @Option(help: ArgumentHelp("End after this many rows.", valueName: "n"))
    var count: Int?

    @Option(help: ArgumentHelp("End a live capture after this long: 10, 10s, 5m.", valueName: "time"))
    var duration: String?

    @Option(help: ArgumentHelp("metrics: only this table, e.g. network_map.1m or application.", valueName: "name"))
    var table: String?

    @Option(help: ArgumentHelp("1s or 1m: of flows and metrics.", valueName: "interval"))
    var interval: String?

    func run() throws {
        var config = try capture.config()
        if kind == .l7Messages, !config.given.contains("inputs.cbpf.preprocess.packet_segmentation_reassembly") {
            config.pipeline.l7.reassembly.isEnabled = false
        }
        let sink = PrintSink(options: try options())
        if kind == .packets { config.pipeline.isL7Enabled = false }
        let pipeline = AgentPipeline(settings: config.pipeline, sink: sink)
        let observer: (any AgentPipeline.Observer)? = kind == .packets || kind == .l7Messages ? sink : nil
        Interruption.onSignal { pipeline.stop() }
        if capture.isReplay {
            try replay(pipeline, observer)
        } else {
            if let duration {
                guard let ns = parseDurationNs(duration.allSatisfy(\.isNumber) ? duration + "s" : duration), ns > 0
                else {
                    throw Failure(
                        .usage, what: "--duration \(duration) is no duration",
                        why: "it must be seconds, or a number with a unit",
                        mend: "for example 10s or 5m")
                }
                Interruption.after(ns) { pipeline.stop() }
            }
            try pipeline.capture(observer: observer, isSatisfied: { sink.isSatisfied })
            tellLosses(pipeline.counters())
        }
        if sink.writeError != 0, sink.writeError != EPIPE {
            throw Failure(
                .partlyDone, what: "cannot write to stdout", why: String(cString: strerror(sink.writeError)),
                mend: "free space and run again")
        }
    }

    /// A line when a live capture has not seen all of its packets, and one when not all of its records came out.
    private func tellLosses(_ counters: PipelineCounters) {
        func places(_ lost: [(place: String, count: UInt64)]) -> String {
            lost.map { "\($0.place) \($0.count)" }.joined(separator: ", ")
        }
        if !counters.lostPackets.isEmpty {
            let received = counters.dispatcher.receive
            let total = received.rxAll + received.tooShort + received.kernel.drops
            standardError("dftop: of \(total) packets some are in no flow: \(places(counters.lostPackets))")
        }
        if !counters.lostRecords.isEmpty {
            standardError("dftop: some records were left out: \(places(counters.lostRecords))")
        }
    }

    private func replay(_ pipeline: AgentPipeline, _ observer: (any AgentPipeline.Observer)?) throws {
        let bar = ProgressBar()
        let troubles = try pipeline.replay(capture.read, observer: observer, progress: bar.show)
        bar.clear()
        for (path, trouble) in troubles { complain(CaptureTrouble(path: path, trouble: trouble)) }
        if !troubles.isEmpty { throw Model.ExitCode.partlyDone }
    }

    private func options() throws -> PrintSink.Options {
        if let count, count < 0 {
            throw Failure(.usage, what: "--count \(count) is negative", why: "rows are counted from 0")
        }
        let perSecond: Bool?
        switch interval {
        case nil: perSecond = nil
        case "1s": perSecond = true
        case "1m": perSecond = false
        default:
            throw Failure(
                .usage, what: "--interval \(interval ?? "") is not known",
                why: "records are made by the second and by the minute", mend: "use 1s or 1m")
        }
        if table != nil, kind != .metrics {
            throw Failure(.usage, what: "--table is of no use here", why: "only metrics have several tables")
        }
        if let table,
            !PrintCommand.metricsTables.contains(where: {
                $0.name == table || $0.qualifiedName == table || $0.name.hasPrefix(table + ".")
            })
        {
            throw Failure(
                .usage, what: "no table \(table)", why: "metrics have other tables",
                mend: "use one of " + PrintCommand.metricsTables.map(\.name).joined(separator: ", "))
        }
        if kind == .metrics, output == .csv, table == nil || interval == nil && table?.contains(".") != true {
            throw Failure(
                .usage, what: "csv needs one table", why: "the columns of the metrics tables differ",
                mend: "add --table network_map.1m, for example")
        }
        return PrintSink.Options(
            kind: kind, format: output, filter: try filter.map { text in try PrintCommand.parse(filter: text) },
            count: count,
            perSecond: perSecond, table: table, isLive: !capture.isReplay)
    }

    static var metricsTables: [TableSchema] {
        [
            Catalogue.network1s, Catalogue.network1m, Catalogue.networkMap1s, Catalogue.networkMap1m,
            Catalogue.application1s,
            Catalogue.application1m, Catalogue.applicationMap1s, Catalogue.applicationMap1m,
        ]
    }

    private static func parse(filter text: String) throws -> Filter {
        do {
            return try Filter(text)
        } catch {
            standardError("  " + text)
            standardError("  " + error.caretLine)
            throw error
        }
    }
}

extension OutputFormat: ExpressibleByArgument {}

/// A capture that was read only in part.
struct CaptureTrouble: Explained {
    let path: String
    let trouble: CaptureFile.Trouble

    var what: String {
        switch trouble {
        case .cut: "\(path) is cut"
        case .malformed: "\(path) is damaged"
        }
    }

    var why: String {
        switch trouble {
        case .cut(let offset): "it ends inside a record that begins at byte \(offset)"
        case .malformed(let offset, let what): "\(what) at byte \(offset)"
        }
    }

    var mend: String { "everything before it was read" }
    var exitCode: Model.ExitCode { .partlyDone }
}
