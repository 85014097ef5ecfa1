/// Which arguments of a command are values, to be shown as `?`. Source: agent-l7-protocols.md 6, obfuscation.
enum RedisObfuscation {
    private enum Rule {
        /// All arguments become one `?`.
        case all
        /// Everything behind the word AUTH becomes one `?`.
        case behindAuth
        /// One argument, counted from 1 behind the command.
        case one(Int)
        /// Everything behind argument 1 becomes one `?`.
        case behindFirst
        /// Every n-th argument behind argument `after`.
        case every(Int, after: Int)
        /// Every second argument behind SET.
        case configSet
        /// The third argument behind each SET.
        case bitField
        case sortedSetAdd
    }

    private static let rules: [String: Rule] = {
        var rules: [String: Rule] = [
            "AUTH": .all, "HELLO": .behindAuth, "LINSERT": .one(4), "GEOADD": .every(3, after: 1),
            "HSET": .every(2, after: 1), "HMSET": .every(2, after: 1), "MSET": .every(2, after: 0),
            "MSETNX": .every(2, after: 0), "CONFIG": .configSet, "BITFIELD": .bitField, "ZADD": .sortedSetAdd,
        ]
        for name in [
            "APPEND", "GETSET", "LPUSHX", "GEORADIUSBYMEMBER", "RPUSHX", "SET", "SETNX", "SISMEMBER", "ZRANK",
            "ZREVRANK",
            "ZSCORE",
        ] { rules[name] = .one(2) }
        for name in [
            "HSETNX", "LREM", "LSET", "SETBIT", "SETEX", "PSETEX", "SETRANGE", "ZINCRBY", "SMOVE", "RESTORE",
        ] { rules[name] = .one(3) }
        for name in ["GEOHASH", "GEOPOS", "GEODIST", "LPUSH", "RPUSH", "SREM", "ZREM", "SADD"] {
            rules[name] = .behindFirst
        }
        return rules
    }()

    private static let addOptions: Set<String> = ["NX", "XX", "GT", "LT", "CH", "INCR"]

    /// `words`: command and arguments. Works in place; a `?` may stand for several arguments.
    static func apply(_ words: inout [String]) {
        guard let command = words.first, let rule = rules[asciiUpperCased(command)] else { return }
        switch rule {
        case .all: collapse(&words, from: 1)
        case .behindAuth:
            if let auth = words.dropFirst().firstIndex(where: { asciiUpperCased($0) == "AUTH" }) {
                collapse(&words, from: auth + 1)
            }
        case .one(let number): if number < words.count { words[number] = "?" }
        case .behindFirst: collapse(&words, from: 2)
        case .every(let step, let after):
            for at in stride(from: after + step, to: words.count, by: step) { words[at] = "?" }
        case .configSet:
            guard words.count > 1, asciiUpperCased(words[1]) == "SET" else { return }
            for at in stride(from: 3, to: words.count, by: 2) { words[at] = "?" }
        case .bitField:
            for at in words.indices.dropFirst() where asciiUpperCased(words[at]) == "SET" {
                if at + 3 < words.count { words[at + 3] = "?" }
            }
        case .sortedSetAdd:
            var at = 2
            while at < words.count, addOptions.contains(asciiUpperCased(words[at])) { at += 1 }
            // The first score stays, then member, score, member ...
            for member in stride(from: at + 1, to: words.count, by: 2) { words[member] = "?" }
        }
    }

    private static func collapse(_ words: inout [String], from start: Int) {
        guard start < words.count else { return }
        words.replaceSubrange(start..., with: CollectionOfOne("?"))
    }
}
