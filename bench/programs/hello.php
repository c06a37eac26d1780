<?php
// The smallest PHP page: what is measured with it is the server and php-fpm.
header('Content-Type: text/plain');
echo "Hello, world\n";
