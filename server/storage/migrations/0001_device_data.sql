CREATE TABLE `screenshots` (
	`device_id` text NOT NULL,
	`id` text NOT NULL,
	`turn_id` text NOT NULL,
	`created_at` integer NOT NULL,
	`format` text NOT NULL,
	`base64_length` integer NOT NULL,
	`screen_width` integer,
	`screen_height` integer,
	PRIMARY KEY(`device_id`, `id`, `turn_id`)
);
--> statement-breakpoint
CREATE INDEX `screenshots_by_time` ON `screenshots` (`created_at`);
--> statement-breakpoint
CREATE TABLE `memories` (
	`device_id` text NOT NULL,
	`id` text NOT NULL,
	`term` text NOT NULL,
	`fact` text NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer,
	PRIMARY KEY(`device_id`, `id`)
);
--> statement-breakpoint
CREATE INDEX `memories_by_expiry` ON `memories` (`expires_at`);
--> statement-breakpoint
CREATE TABLE `usage` (
	`id` integer PRIMARY KEY NOT NULL,
	`device_id` text NOT NULL,
	`session_id` text,
	`created_at` integer NOT NULL,
	`source` text NOT NULL,
	`model` text NOT NULL,
	`input_tokens` integer NOT NULL,
	`output_tokens` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `usage_by_device` ON `usage` (`device_id`);
--> statement-breakpoint
CREATE INDEX `usage_by_time` ON `usage` (`created_at`);
