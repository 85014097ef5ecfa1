import EngineAPI
import Model

/// Lines of the help screen: of this view first, then of all.
extension Application {
    func helpLines() -> [DetailView.Line] {
        var lines: [DetailView.Line] = []
        let section = { (title: String, rows: [(String, String)]) in
            if !lines.isEmpty { lines.append(DetailView.Line(text: "")) }
            lines.append(DetailView.Line(text: title, style: .header))
            for (key, text) in rows {
                let name = key + String(repeating: " ", count: max(1, 18 - key.count))
                for (index, part) in DetailView.wrappedWords(text, width: max(20, columns - 22)).enumerated() {
                    let head = index == 0 ? name : String(repeating: " ", count: name.count)
                    lines.append(DetailView.Line(text: "  " + head + part, nameWidth: 2 + name.count))
                }
            }
        }
        if let kind = activeKind {
            let spec = ListSpec.of(kind)
            section(spec.title, spec.help)
            section(
                "In every list",
                [
                    ("arrows, hjkl", "move; left and right show further columns"),
                    ("PgUp PgDn Home End", "page, first, last; the wheel and clicks work too"),
                    ("Enter", "details of the row"),
                    ("/", "filter, with the list following as you type; Tab completes"),
                    ("Esc", "removes the filter"), ("s", "choose the column to sort by; S turns the order round"),
                    ("< >", "sort by the column to the left or right"), ("Space", "pause: the list stays as it is"),
                    ("r f", "requests, flows behind the row"), ("e", "export rows to a file; y copies the row"),
                ])
            if view == .meta { section("Meta", [("8, m, [ ]", "interfaces, processes, host")]) }
            section(
                "Filter",
                [
                    ("proto:http", "by protocol; also tcp, udp, dns, mysql, redis"),
                    ("status:>=500", "code or ok, error, client_error, server_error, timeout, 4xx, 5xx"),
                    ("rrt:>100ms", "response time; also rtt, art, srt, with us, ms, s; 10ms..1s is a range"),
                    ("client:10.0.0.0/8", "also server, ip for either end; addresses and networks"),
                    ("port:80,443", "either end; sport, dport"),
                    ("host:*.example", "also method, path, process, service"),
                    ("path~cart", "~ looks inside the text"), ("bytes:>10M", "also rate, packets, retrans, errors"),
                    ("!port:53 text", "! negates; words without a key are looked for everywhere"),
                    ("a or (b c)", "alternatives and brackets"),
                    ("any column", "every column name of the tables works as a key"),
                ])
        } else {
            section(
                "Overview",
                [
                    ("charts", "the last minutes by the second; in a replay the whole capture"),
                    ("services", "by requests, with failures and mean response time"),
                    ("talkers", "addresses by bytes, both directions"), ("Space", "pause"),
                    ("/", "go to the flows and filter them"),
                ])
        }
        var everywhere = [
            ("1 2 3 4 5 8 0", ViewID.present.map(\.title).joined(separator: ", ")), ("Tab", "next view"),
            (":", "command line: " + Application.commands.map(\.name).joined(separator: ", ")),
            ("? F1", "this help"), ("q Ctrl-C", "leave"), ("Ctrl-Z", "suspend"),
        ]
        if settings.canDetach { everywhere.append(("D", "leave the screen; the engine goes on")) }
        section("Everywhere", everywhere)
        return lines
    }
}
