exports.right = (s) => s.slice(0, -1);
