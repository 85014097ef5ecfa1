/// Replaces the values of a statement by `?`. Source: agent-l7.md 11.4.
enum SQLObfuscator {
    /// nil = nothing was replaced: the text is used as it is.
    static func obfuscate(_ text: String) -> String? {
        var bytes = Array(text.utf8)
        var tokenizer = SQLTokenizer(bytes)
        var tokens = tokenizer.all()
        if let error = tokenizer.errorAt {
            // Once more on the text before the open quote, with an empty word in its place.
            bytes.removeSubrange(error...)
            var retry = SQLTokenizer(bytes)
            tokens = retry.all()
            guard retry.errorAt == nil else { return nil }
            tokens.append(SQLToken(kind: .empty, range: error..<error))
        }
        var writer = Writer(bytes: bytes, tokens: tokens)
        return writer.run()
    }

    private struct Writer {
        let bytes: [UInt8]
        let tokens: [SQLToken]
        var out: [UInt8] = []
        var at = 0
        var isChanged = false

        init(bytes: [UInt8], tokens: [SQLToken]) {
            self.bytes = bytes
            self.tokens = tokens
            out.reserveCapacity(bytes.count)
        }

        mutating func run() -> String? {
            while at < tokens.count {
                let token = tokens[at]
                at += 1
                switch token.kind {
                case .number, .string:
                    out.append(63)
                    isChanged = true
                case .empty: break
                default:
                    copy(token)
                    if takesValue(token) { replaceValue() }
                }
            }
            return isChanged ? String(decoding: out, as: UTF8.self) : nil
        }

        private mutating func copy(_ token: SQLToken) {
            let text = bytes[token.range]
            if token.kind == .symbol, text.elementsEqual([33, 61]) {
                out += [60, 62]
            } else if token.kind == .whitespace, text.first == 13 {
                out.append(10)
            } else {
                out += text
            }
        }

        /// What follows is a value: comparison operators and the keywords of the table.
        private func takesValue(_ token: SQLToken) -> Bool {
            let text = bytes[token.range]
            switch token.kind {
            case .symbol:
                return [
                    [61], [61, 61], [60, 62], [33, 61], [60], [60, 61], [62], [62, 61],
                ].contains { text.elementsEqual($0) }
            case .word(isKeyword: true):
                switch text.count {
                case 2: return is_("IN", text) || is_("IS", text) || is_("AS", text)
                case 4: return is_("LIKE", text)
                case 5: return is_("LIMIT", text)
                case 6: return is_("OFFSET", text) || is_("VALUES", text)
                default: return false
                }
            default: return false
            }
        }

        private func is_(_ keyword: StaticString, _ text: ArraySlice<UInt8>) -> Bool {
            keyword.withUTF8Buffer { expected in
                zip(text, expected).allSatisfy { asciiUpper($0) == $1 }
            }
        }

        private mutating func replaceValue() {
            while at < tokens.count, tokens[at].kind == .whitespace || tokens[at].kind == .comment {
                copy(tokens[at])
                at += 1
            }
            guard at < tokens.count else { return }
            isChanged = true
            if isSymbol(at, 40) {
                var depth = 0
                while at < tokens.count {
                    if isSymbol(at, 40) { depth += 1 }
                    if isSymbol(at, 41) { depth -= 1 }
                    at += 1
                    if depth == 0 { break }
                }
                out += [40, 63, 41]
                return
            }
            at += 1
            while at < tokens.count, continuesValue(tokens[at]) { at += 1 }
            out.append(63)
        }

        private func isSymbol(_ number: Int, _ byte: UInt8) -> Bool {
            tokens[number].kind == .symbol && bytes[tokens[number].range].elementsEqual(CollectionOfOne(byte))
        }

        private func continuesValue(_ token: SQLToken) -> Bool {
            switch token.kind {
            case .word, .number: return true
            case .symbol:
                let text = bytes[token.range]
                if text.count == 2 { return text.elementsEqual([47, 47]) }
                return text.count == 1 && [46, 43, 45, 42, 47, 37].contains(text[text.startIndex])
            default: return false
            }
        }
    }
}
