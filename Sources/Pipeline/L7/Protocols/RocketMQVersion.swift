/// Client versions, which go by their number in a list. Source: agent-l7-protocols.md 21.
enum RocketMQVersion {
    private static let oldest = [
        "SNAPSHOT", "ALPHA1", "BETA1", "BETA2", "BETA3", "BETA4", "BETA5", "BETA6_SNAPSHOT", "BETA6", "BETA7_SNAPSHOT",
        "BETA7", "BETA8_SNAPSHOT", "BETA8", "BETA9_SNAPSHOT", "BETA9", "FINAL",
    ]
    /// Major and minor number, first and last patch, in the order of the list.
    private static let lines: [(major: Int, minor: Int, patches: ClosedRange<Int>)] =
        [(3, 0, 1...15), (3, 1, 0...9), (3, 2, 0...9)] + (3...9).map { (3, $0, 1...9) }
        + (0...9).map { (4, $0, 0...9) } + (0...9).map { (5, $0, 0...9) }

    /// Empty = not in the list.
    static func name(_ number: Int) -> String {
        guard number >= 0 else { return "" }
        if number < oldest.count { return "V3_0_0_" + oldest[number] }
        var pair = (number &- oldest.count) / 2
        let isSnapshot = (number &- oldest.count) % 2 == 0
        for line in lines {
            guard pair >= line.patches.count else {
                let name = "V\(line.major)_\(line.minor)_\(line.patches.lowerBound &+ pair)"
                return isSnapshot ? name + "_SNAPSHOT" : name
            }
            pair &-= line.patches.count
        }
        return ""
    }

    static func isKnown(_ number: Int) -> Bool { number >= 0 && number < 612 }
}
