const { left } = require("left");
console.log(left("hello"));
