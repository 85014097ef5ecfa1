import ArgumentParser
import Model
import Pipeline
import ServerCore

#if canImport(Glibc)
    import Glibc
#endif

/// `dftop bench FILE`: the agent's whole path to a sink that only counts, or to the store. For measuring; not listed.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Run a capture through the agent to the record sink and count.",
        shouldDisplay: false)

    @Argument(help: "A capture file.") var file: String

    @Option(help: ArgumentHelp("Write rows to an embedded store in this folder as well.", valueName: "dir"))
    var store: String?

    @Option(name: .customLong("set"), help: "Set one agent configuration value; repeatable.")
    var set: [String] = []

    func run() throws {
        var options = try CaptureOptions.parse(["-r", file] + set.flatMap { ["--set", $0] })
        options.read = [file]
        let config = try options.config()
        let counting = CountingSink()
        guard let store else {
            let pipeline = AgentPipeline(settings: config.pipeline, sink: counting)
            _ = try pipeline.replay([file])
            report(pipeline, counting)
            return
        }
        let directory = try DataDirectory.persistent(store)
        var settings = SQLiteStore.Settings()
        settings.clock = .newestRow
        let database = try SQLiteStore(path: directory.storePath, settings: settings)
        let ingester = Ingester(store: database, settings: .replay)
        let pipeline = AgentPipeline(settings: config.pipeline, sink: FanOutSink([counting, ingester]))
        _ = try pipeline.replay([file])
        ingester.flush()
        try database.flush()
        report(pipeline, counting)
        let counters = database.counters()
        print(
            "rows_written \(counters.rowsWritten) rows_dropped \(counters.rowsDropped) bytes_used \(counters.bytesUsed)"
        )
        ingester.stop()
        database.close()
    }

    private func report(_ pipeline: AgentPipeline, _ sink: CountingSink) {
        let counters = pipeline.counters()
        let totals = sink.totals
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        let cpu =
            Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + Double(
                usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
        let packets = counters.dispatcher.rx
        print(
            "packets \(packets) flows \(counters.flowMap.new) documents \(totals.documents) flow_logs \(totals.flowLogs) l7_logs \(totals.l7Logs)"
        )
        print(
            "cpu_seconds \(cpu) ns_per_packet \(packets > 0 ? Int(cpu * 1e9 / Double(packets)) : 0) max_rss_kib \(usage.ru_maxrss)"
        )
    }
}
