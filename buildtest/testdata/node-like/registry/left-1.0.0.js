exports.left = (s) => s.slice(1);
