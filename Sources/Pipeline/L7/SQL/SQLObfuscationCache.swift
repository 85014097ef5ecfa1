/// Remembers obfuscated statements, so that each distinct text is worked on once. Source: agent-l7.md 11.4.
struct SQLObfuscationCache: ~Copyable {
    private var cache = RecentTable<Int, String>(capacity: 8192)

    /// The statement without its values; the text itself when there is nothing to hide.
    mutating func obfuscated(_ text: String) -> String {
        let key = text.hashValue
        if let known = cache.get(key) { return known }
        guard let result = SQLObfuscator.obfuscate(text) else { return text }
        cache.put(key, result)
        return result
    }
}
